import MappedMemory
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file that is written from its start: a new or an existing one.
final class OutputFile {
  private let path: String
  private let descriptor: FileDescriptor
  /// Whether what an existing file held is gone.
  private var isCleared = false
  private var isFinished = false

  /// Opens `path`. An existing file stays unchanged until `write` or `finish`.
  ///
  /// - Parameter store: the file that `path` must not name.
  init(_ path: String, besides store: String) throws(Failure) {
    let descriptor: FileDescriptor
    do {
      descriptor = try FileDescriptor.open(
        FilePath(path), .writeOnly, options: [.create, .closeOnExec],
        permissions: [.ownerReadWrite, .groupReadWrite, .otherReadWrite])
    } catch {
      let exists = (try? File.identity(of: FilePath(path))) != nil
      throw Failure(
        .cannotCreate,
        exists ? "cannot open '\(path)' for writing: \(error)" : "cannot create '\(path)': \(error)")
    }
    if StandardStreams.leads(store, to: descriptor) {
      try? descriptor.close()
      throw Failure(.usage, "'\(path)' is the store itself; write to another file")
    }
    self.path = path
    self.descriptor = descriptor
  }

  deinit {
    if !isFinished { try? descriptor.close() }
  }

  /// A buffer before the file.
  var stream: ByteOutput { ByteOutput { [self] in try write($0) } }

  /// Appends to what has been written.
  private func write(_ bytes: [UInt8]) throws {
    try describing {
      try clear()
      try descriptor.writeAll(bytes)
    }
  }

  /// Closes the file, after all has been written and the buffer was flushed.
  ///
  /// - Parameter durably: whether to wait until the file is safe from loss of power.
  func finish(durably: Bool = false) throws {
    try describing {
      try clear()
      // A file that is not regular may not be one to sync.
      if durably, fsync(descriptor.rawValue) != 0, errno != EINVAL { throw Errno(rawValue: errno) }
      isFinished = true
      try descriptor.close()
    }
  }

  private func clear() throws {
    if isCleared { return }
    // A file that is not regular has no length to set.
    if ftruncate(descriptor.rawValue, 0) != 0, errno != EINVAL { throw Errno(rawValue: errno) }
    isCleared = true
  }

  private func describing(_ body: () throws -> Void) throws {
    do { try body() } catch { throw Failure(.inputOutput, "cannot write '\(path)': \(error)") }
  }
}

/// Standard output and standard error.
enum StandardStreams {
  /// Throws if standard output or standard error is the store itself.
  static func check(besides store: String) throws(Failure) {
    // A message would be written into the store.
    if leads(store, to: .standardError) { throw Failure(.usage) }
    if leads(store, to: .standardOutput) {
      throw Failure(.usage, "standard output goes into the store itself; send it to another file")
    }
  }

  /// Whether the file at `path` is the one that is open.
  static func leads(_ path: String, to descriptor: FileDescriptor) -> Bool {
    var named = stat()
    var opened = stat()
    guard unsafe stat(path, &named) == 0, unsafe fstat(descriptor.rawValue, &opened) == 0 else {
      return false
    }
    return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino
  }
}

extension StoreCommand {
  /// Throws if `path` names the store itself.
  func checkIsNotStore(_ path: String) throws(Failure) {
    guard let own = try? File.identity(of: FilePath(store)),
      let other = try? File.identity(of: FilePath(path)), own == other
    else { return }
    throw Failure(.usage, "'\(path)' is the store itself; choose another name")
  }
}
