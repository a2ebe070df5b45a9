import ArgumentParser
import KVMap
import SystemPackage

struct Backup: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Copy a store, as it is now, or what has changed since an earlier backup.",
    discussion: """
      The copy is consistent, compact and verified; others may write at the same time. NEW appears when it is \
      complete; an existing file is never replaced. Values keep their time of expiry and their version. If STORE may \
      only be read, and another process has it open, the copy is of its last checkpoint.

      If NEW is -, the copy is first made in a temporary file, and then written to standard output. 'kvmap restore' \
      makes a store of it, and notices if it was cut off or damaged.

      With --since, NEW gets only what has changed since an earlier backup: a file of changes, which 'kvmap restore' \
      applies to the backups before it. EARLIER is that backup, a copy or a file of changes, or the number up to which \
      it has all changes. If the log does not have all of these changes any more, \
      it fails with status 2: make a whole backup then.

      With --reflink, if the file system can (Btrfs, XFS), nothing is copied: NEW shares disk space with STORE until \
      either changes it. Then a damaged block damages both, and changing STORE takes new space.

      EXAMPLES
        kvmap backup orders.kvmap orders-monday.kvmap
        kvmap backup orders.kvmap tuesday.changes --since orders-monday.kvmap
        kvmap backup orders.kvmap wednesday.changes --since tuesday.changes
        kvmap backup orders.kvmap - | gzip > orders.gz
        gzip -d < orders.gz | kvmap restore orders-again.kvmap -
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Argument(help: "The store or the file of changes to make; - for standard output.", completion: .file())
  var new: String

  @Option(
    help: ArgumentHelp(
      "Write what has changed since this backup, or since this number.", valueName: "earlier"),
    completion: .file())
  var since: String?

  @Flag(help: "Share disk space with STORE if the file system can; otherwise copy.")
  var reflink = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if reflink, new == "-" { throw ValidationError("--reflink needs a file; NEW is standard output") }
    if reflink, since != nil {
      throw ValidationError("--reflink is for whole copies; leave it out with --since")
    }
  }

  func run() throws {
    if new != "-" { try checkIsNotStore(new) }
    let store = try openForSnapshot()
    if new == "-" { try printCopy(of: store) } else { try copy(store, to: new) }
    try store.close()
  }

  private func copy(
    _ store: Store, to path: String, options: Store.Options = Store.Options()
  ) throws {
    if let since { return try copyChanges(of: store, since: try sequence(of: since), to: path, options) }
    let count = try store.count
    var copied = 0
    let progress = Progress(self, share: { Double(copied) / Double(max(1, count)) })
    defer { progress.clear() }
    try store.backup(to: path, sharesBlocks: reflink, options: options) {
      copied = $0
      progress.update($0)
    }
  }

  private func copyChanges(
    of store: Store, since sequence: UInt64, to path: String, _ options: Store.Options
  ) throws {
    let progress = Progress(self)
    defer { progress.clear() }
    try store.backup(to: path, since: sequence, mode: options.mode) { progress.update($0) }
  }

  /// The number up to which an earlier backup has all changes; or `earlier` is that number.
  private func sequence(of earlier: String) throws -> UInt64 {
    do {
      return try Store.backupSequence(of: earlier)
    } catch {
      if error.code == .notFound, let number = UInt64(earlier) { return number }
      throw error
    }
  }

  private func printCopy(of store: Store) throws {
    if Terminal.isTerminal(.standardOutput) {
      throw Failure(
        .usage, "a backup is nothing to show on a terminal; send it to a file or to another program")
    }
    let path = InputFile.temporaryPath()
    // Nobody else is to read it under this name, which it has for a moment.
    var options = Store.Options()
    options.mode = 0o600
    try copy(store, to: path, options: options)
    let copied = try InputFile(temporary: path)
    var output = standardOutput()
    while case let piece = try copied.read(), !piece.isEmpty { try output.append(piece) }
    try output.flush()
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
