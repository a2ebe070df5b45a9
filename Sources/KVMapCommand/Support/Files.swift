import SystemPackage

/// The reader of standard output has closed it.
struct ClosedPipe: Error {}

/// A buffer before standard output.
///
/// The buffer throws `ClosedPipe` or `Failure`.
func standardOutput() -> ByteOutput {
  ByteOutput { try write($0, to: .standardOutput, name: "standard output") }
}

/// Writes all of `bytes`.
func write(_ bytes: [UInt8], to descriptor: FileDescriptor, name: String) throws {
  do {
    try descriptor.writeAll(bytes)
  } catch Errno.brokenPipe where descriptor == .standardOutput {
    throw ClosedPipe()
  } catch let error as Errno {
    throw Failure(.inputOutput, "cannot write \(name): \(error)")
  }
}

/// A file, or standard input, that is read from start to end.
final class InputFile {
  /// For messages: "'dump.jsonl'" or "standard input".
  let name: String
  /// How many bytes there are to read; nil if unknown.
  let size: Int64?
  private(set) var bytesRead: Int64 = 0

  private let descriptor: FileDescriptor
  private static let pieceSize = 65_536

  /// Opens `path`; standard input for nil and `-`.
  init(_ path: String?) throws(Failure) {
    if let path, path != "-" {
      name = "'\(path)'"
      do {
        descriptor = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
      } catch {
        throw Failure(.inputOutput, "cannot open '\(path)': \(error)")
      }
    } else {
      name = "standard input"
      descriptor = .standardInput
    }
    size = Self.size(of: descriptor)
  }

  init(name: String, descriptor: FileDescriptor) {
    self.name = name
    self.descriptor = descriptor
    size = Self.size(of: descriptor)
  }

  /// A path of the file, for as long as this is there. Needs /proc.
  var pathWhileOpen: String { "/proc/self/fd/\(descriptor.rawValue)" }

  deinit {
    if descriptor != .standardInput { try? descriptor.close() }
  }

  /// Throws if this file is the store that it is to be read into.
  func check(besides store: String) throws(Failure) {
    guard StandardStreams.leads(store, to: descriptor) else { return }
    throw Failure(.usage, "\(name) is the store itself; read another file")
  }

  /// The next bytes; none at the end.
  func read() throws(Failure) -> [UInt8] {
    do {
      let piece = try unsafe [UInt8](unsafeUninitializedCapacity: Self.pieceSize) { buffer, count in
        count = try unsafe descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
      }
      bytesRead += Int64(piece.count)
      return piece
    } catch {
      throw Failure(.inputOutput, "cannot read \(name): \(error)")
    }
  }

  func readAll() throws(Failure) -> [UInt8] {
    var all = try read()
    while true {
      let piece = try read()
      if piece.isEmpty { return all }
      all.append(contentsOf: piece)
    }
  }

  /// Nil for files that cannot seek, such as a pipe.
  private static func size(of descriptor: FileDescriptor) -> Int64? {
    guard let start = try? descriptor.seek(offset: 0, from: .current),
      let end = try? descriptor.seek(offset: 0, from: .end)
    else { return nil }
    _ = try? descriptor.seek(offset: start, from: .start)
    return end > start ? end - start : nil
  }
}
