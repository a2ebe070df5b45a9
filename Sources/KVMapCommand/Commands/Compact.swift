import ArgumentParser
import KVMap
import SystemPackage

struct Compact: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact",
    abstract: "Make the file as small as it can be.",
    discussion: """
      Writing by itself keeps the file within twice what it holds and 64 MiB. This verb returns the rest to the file \
      system. Others may read and write at the same time. The file is truncated only if nobody else has it open.

      EXAMPLES
        kvmap compact colours.kvmap
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @OptionGroup var common: CommonOptions

  func run() throws {
    let store = try openForWriting(create: false)
    let before = try store.statistics().allocatedBytes
    var latest: Store.CompactionProgress?
    let progress = Progress(
      self, unit: "bytes",
      share: { latest.map { Double($0.movedBytes) / Double(max(1, $0.totalBytes)) } })
    defer { progress.clear() }
    try store.compact { step in
      latest = step
      progress.update(step.movedBytes)
    }
    let after = try store.statistics().allocatedBytes
    try store.close()
    progress.clear()
    func size(_ bytes: Int) -> String {
      Terminal.isTerminal(.standardError) ? Quantity.bytes(bytes) : counted(bytes, "byte")
    }
    note("'\(self.store)' took \(size(before)) of disk and takes \(size(after)) now")
  }
}
