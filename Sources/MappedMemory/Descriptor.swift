import CMappedMemory
import SystemPackage

/// The number of an open file: closed exactly once.
struct Descriptor: ~Copyable, Sendable {
  let number: Int32

  init(owning number: Int32) { self.number = number }

  // What close reports here has nowhere to go; `close()` tells it.
  deinit { try? SystemCalls.close(number) }

  consuming func close() throws(Errno) {
    let number = number
    discard self
    try SystemCalls.close(number)
  }
}

/// A name in the file system that is removed with the value.
struct TemporaryName: ~Copyable, Sendable {
  /// The name; `nil` when there is none (any more).
  private(set) var path: FilePath?
  private let generation = kvmap_process_generation()

  init(_ path: FilePath?) { self.path = path }

  deinit {
    // A forked child must not take its parent's file away.
    if let path, generation == kvmap_process_generation() { try? SystemCalls.remove(path) }
  }

  mutating func remove() throws(MappingError) {
    guard let path else { return }
    self.path = nil
    try describing(.unlink, path) { () throws(Errno) in try SystemCalls.remove(path) }
  }
}
