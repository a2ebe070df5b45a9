import KVMap
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Makes a store that appears at its path complete or not at all.
enum NewStore {
  /// Has `fill` put the records into a hidden file beside `path`, and gives that its name when it is done.
  ///
  /// Never replaces a file at `path`. The hidden file is removed when `fill` throws and when a signal ends the
  /// process.
  static func create(at path: String, timeout: Duration, _ fill: (Store) throws -> Void) throws {
    let directory = Self.directory(of: path)
    try check(directory, for: path)
    let hidden = directory.appending(".kvmap-load-\(getpid())-\(UInt64.random(in: 0...UInt64.max))")
    PartialFile.removeOnSignal(hidden.string)
    defer {
      _ = unsafe unlink(hidden.string)
      PartialFile.settle()
    }
    do {
      try write(hidden, timeout: timeout, fill)
    } catch let error as StoreError {
      // The user knows nothing of the hidden file.
      var failure = Failure(error, store: path)
      failure.message = failure.message?.replacing(hidden.string, with: path)
      throw failure
    }
    try publish(hidden, as: path)
    try sync(directory)
  }

  private static func write(_ hidden: FilePath, timeout: Duration, _ fill: (Store) throws -> Void) throws {
    var options = StoreOptions()
    options.timeout = timeout
    // Nobody else knows the file.
    options.exclusive = true
    let store = try Store(hidden, options: options)
    try fill(store)
    // A name that outlives a loss of power must not stand for a file that does not.
    try store.sync()
    try store.close()
  }

  private static func directory(of path: String) -> FilePath {
    let directory = FilePath(path).removingLastComponent()
    return directory.isEmpty ? "." : directory
  }

  private static func check(_ directory: FilePath, for path: String) throws(Failure) {
    do {
      try FileDescriptor.open(directory, .readOnly, options: [.directory, .closeOnExec]).close()
    } catch {
      throw Failure(.cannotCreate, "cannot create store '\(path)' in the directory '\(directory)': \(error)")
    }
  }

  /// A link, unlike a rename, fails where the name is taken.
  private static func publish(_ hidden: FilePath, as path: String) throws(Failure) {
    if unsafe link(hidden.string, path) == 0 { return }
    switch Errno(rawValue: errno) {
    case .fileExists:
      throw Failure(
        .cannotCreate, "cannot create store '\(path)': it came into being meanwhile; nothing was loaded")
    case .notPermitted, .notSupported, .noFunction, .tooManyLinks:
      throw Failure(
        .cannotCreate,
        """
        cannot create store '\(path)': its file system has no links; make an empty store first with \
        "kvmap batch '\(path)' < /dev/null" and load again
        """)
    case let error:
      throw Failure(.cannotCreate, "cannot create store '\(path)': \(error)")
    }
  }

  private static func sync(_ directory: FilePath) throws(Failure) {
    do {
      let descriptor = try FileDescriptor.open(directory, .readOnly, options: [.directory, .closeOnExec])
      // Some file systems cannot do that to a directory and say EINVAL; there is nothing more to do then.
      _ = fsync(descriptor.rawValue)
      try descriptor.close()
    } catch {
      throw Failure(.inputOutput, "cannot sync the directory '\(directory)': \(error)")
    }
  }
}
