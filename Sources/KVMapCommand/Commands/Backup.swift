import ArgumentParser
import KVMap
import SystemPackage

struct Backup: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Copy a store, as it is now, into a new one.",
    discussion: """
      The copy is consistent, compact and verified; others may write at the same time. NEW appears when it is \
      complete; an existing file is never replaced. Values keep their time of expiry and their version. If STORE may \
      only be read, and another process has it open, the copy is of its last checkpoint.

      With --reflink, if the file system can (Btrfs, XFS), nothing is copied: NEW shares disk space with STORE until \
      either changes it. Then a damaged block damages both, and changing STORE takes new space.

      EXAMPLES
        kvmap backup orders.kvmap orders-monday.kvmap
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Argument(help: "The store to make.", completion: .file())
  var new: String

  @Flag(help: "Share disk space with STORE if the file system can; otherwise copy.")
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

  /// Opens for writing, so that the snapshot is of this moment; for reading if the rights allow no more.
  private func openForSnapshot() throws -> Store {
    do {
      return try openForWriting(create: false)
    } catch {
      guard error.code == .permissionDenied else { throw error }
      return try openForReading()
    }
  }
}
