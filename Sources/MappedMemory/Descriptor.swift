import CMappedMemory
import SystemPackage

/// The number of an open file: closed exactly once.
struct Descriptor: ~Copyable, Sendable {
  let number: Int32
  /// Not 0: forked children of this process close it at once.
  private var unsharedIn: UInt32 = 0

  init(owning number: Int32) { self.number = number }

  // An error of close is ignored here; `close()` throws it.
  deinit { try? Self.close(number, unsharedIn) }

  consuming func close() throws(Errno) {
    let (number, unsharedIn) = (number, unsharedIn)
    discard self
    try Self.close(number, unsharedIn)
  }

  private static func close(_ number: Int32, _ unsharedIn: UInt32) throws(Errno) {
    if unsharedIn != 0 {
      // In a child the number may belong to another file.
      if unsharedIn != kvmap_process_generation() { return }
      kvmap_share_with_children(number)
    }
    try SystemCalls.close(number)
  }

  mutating func unshare() throws(Errno) {
    if unsharedIn != 0 { return }
    guard kvmap_unshare_with_children(number) == 0 else { throw .noMemory }
    unsharedIn = kvmap_process_generation()
  }
}

/// A name in the file system that is removed with the value.
struct TemporaryName: ~Copyable, Sendable {
  /// The name; `nil` when there is none.
  private(set) var path: FilePath?
  private let generation = kvmap_process_generation()

  init(_ path: FilePath?) { self.path = path }

  deinit {
    // A forked child must not remove its parent's file.
    if let path, generation == kvmap_process_generation() { try? SystemCalls.remove(path) }
  }

  /// Leaves the name alone: it is not the file's any more.
  mutating func forget() { path = nil }

  mutating func remove() throws(MappingError) {
    guard let path else { return }
    self.path = nil
    try describing(.unlink, path) { () throws(Errno) in try SystemCalls.remove(path) }
  }
}
