import ArgumentParser
import KVMap

struct Restore: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Make a store of a backup.",
    discussion: """
      Takes what 'kvmap backup' made: a file, or what it wrote to standard output. Every record is verified. STORE appears \
      when it is complete and safe from loss of power; an existing file is never replaced. A backup that is damaged or \
      was cut off fails with status 65 and leaves no trace; 'kvmap salvage' makes a store of what is left of it.

      CHANGES are the files that 'kvmap backup --since' made after it, in their order. If one is missing, or they are of \
      another store, it fails with status 2.

      Standard input is first read to its end, into a temporary file.

      EXAMPLES
        kvmap restore orders.kvmap orders-monday.kvmap
        kvmap restore orders.kvmap monday.kvmap tuesday.changes wednesday.changes
        gzip -d < orders.gz | kvmap restore orders.kvmap -
        ssh host kvmap backup orders.kvmap - | kvmap restore orders.kvmap
      """)

  @Argument(help: "The store to make.", completion: .file())
  var store: String

  @Argument(help: "The backup; - or none for standard input.", completion: .file())
  var backup: String?

  @Argument(help: "Files of changes, in the order in which they were made.", completion: .file())
  var changes: [String] = []

  @OptionGroup var common: CommonOptions

  func run() throws {
    for path in changes { try checkIsNotStore(path) }
    guard let backup, backup != "-" else { return try restoreFromStandardInput() }
    try checkIsNotStore(backup)
    try restore(from: backup)
  }

  private func restoreFromStandardInput() throws {
    let spool = try InputFile(nil).spooled()
    do {
      try restore(from: spool.pathWhileOpen)
    } catch let error as Store.Error {
      var failure = Failure(reporting: error)
      failure.message = failure.message?.replacing(spool.pathWhileOpen, with: spool.name)
      throw failure
    }
  }

  private func restore(from backup: String) throws {
    if !changes.isEmpty { return try restoreChanges(after: backup) }
    let source = try Store(
      backup, options: Store.Options(access: .readOnly, timeout: common.timeout.duration))
    let count = try source.count
    var restored = 0
    let progress = Progress(self, share: { Double(restored) / Double(max(1, count)) })
    defer { progress.clear() }
    try source.backup(to: store) {
      restored = $0
      progress.update($0)
    }
    progress.clear()
    note("restored and verified \(counted(restored, "record"))")
  }

  private func restoreChanges(after backup: String) throws {
    var restored = 0
    let progress = Progress(self)
    defer { progress.clear() }
    try Store.restore(
      store, from: backup, changes, options: Store.Options(timeout: common.timeout.duration)
    ) {
      restored = $0
      progress.update($0)
    }
    progress.clear()
    note("restored \(counted(restored, "record")), changes included, and verified the store")
  }
}
