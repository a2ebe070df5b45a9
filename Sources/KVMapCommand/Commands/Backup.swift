import ArgumentParser
import KVMap
import SystemPackage

struct Backup: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Copy a store, as it is now, into a new one.",
    discussion: """
      The copy is consistent, compact and verified; others may write meanwhile. NEW appears when it is complete, and \
      is never written over. Values keep their time of expiry and their version. Where STORE may only be read, and \
      somebody else has it open, the copy is of its last checkpoint.

      With --reflink, where the file system can (Btrfs, XFS), nothing is copied: NEW shares disk space with STORE \
      until either changes it. A damaged block damages both then, and changing STORE takes new space.

      EXAMPLES
        kvmap backup orders.kvmap orders-monday.kvmap
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Argument(help: "The store to make.", completion: .file())
  var new: String

  @Flag(help: "Share disk space with STORE where the file system can; else copy.")
  var reflink = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    try checkIsNotStore(new)
    let store = try openForSnapshot()
    let count = try store.count
    var copied = 0
    let progress = Progress(self, share: { Double(copied) / Double(max(1, count)) })
    defer { progress.clear() }
    try store.backup(to: FilePath(new), sharesBlocks: reflink) {
      copied = $0
      progress.update($0)
    }
    progress.clear()
    try store.close()
  }

  /// For writing, so that the snapshot is of this moment; for reading if it may not.
  private func openForSnapshot() throws -> Store {
    do {
      return try openForWriting(create: false)
    } catch {
      guard error.code == .permissionDenied else { throw error }
      return try openForReading()
    }
  }
}
