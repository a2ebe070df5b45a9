import ArgumentParser
import KVMap
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct Dump: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "dump",
    abstract: "Write all records to standard output or a file, for 'kvmap load' or for gdbm.",
    discussion: """
      jsonl, the default, loses nothing: a header line {"kvmap":1}, a line for each record, {"key":"sky",\
      "value":"blue"}, and a last line {"count":1}. What is not UTF-8 is in Base64, as key_b64 and value_b64; \
      "expires" is in milliseconds since 1970.

      gdbm and gdbm-binary are what gdbm_dump writes and gdbm_load reads. They hold no time of expiry, and \
      gdbm_load cannot read empty keys and values. gdbm-binary has no end mark, so a truncated dump can look \
      whole.

      With -o, status 0 means that FILE is complete and safe from loss of power.

      EXAMPLES
        kvmap dump colours.kvmap -o colours.jsonl
        kvmap dump colours.kvmap | jq -r 'select(.key) | .key'
        kvmap dump --format gdbm colours.kvmap | gdbm_load - colours.gdbm
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Option(help: "The format.")
  var format = DumpFormat.jsonl

  @Flag(help: "Leave out records that gdbm cannot hold, instead of failing.")
  var skipUnfit = false

  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("Write to a file instead of standard output.", valueName: "file"),
    completion: .file())
  var output: String?

  @OptionGroup var common: CommonOptions

  func run() throws {
    let store = try openForReading()
    let file = try output.map { try OutputFile($0, besides: self.store) }
    let total = try store.count
    var written = 0
    var expiring = 0
    var unfit = 0
    let progress = Progress(self, share: { total > 0 ? min(1, Double(written) / Double(total)) : nil })
    defer { progress.clear() }

    var writer = try makeWriter(file?.stream ?? standardOutput())
    try writer.begin()
    var cursor = store.makeCursor()
    var record = DumpRecord()
    while let entry = try cursor.next() {
      record.key = entry.key
      record.value = entry.value
      record.expires = entry.expiry.millisecondsSince1970
      do {
        try writer.write(record)
      } catch let error as UnfitRecord {
        guard skipUnfit else { throw failure(error) }
        unfit += 1
        continue
      }
      if record.expires != nil { expiring += 1 }
      written += 1
      progress.update(written)
    }
    try writer.finish()
    try file?.finish(durably: true)
    progress.clear()
    if unfit > 0 { note("left out \(counted(unfit, "record")) that \(format.rawValue) cannot hold") }
    if expiring > 0, format != .jsonl {
      note(
        "\(format.rawValue) holds no times of expiry: \(counted(expiring, "record")) lost theirs; --format jsonl keeps them"
      )
    }
  }

  private func failure(_ error: UnfitRecord) -> Failure {
    Failure(
      .failure,
      """
      cannot write the record with the key \(TerminalText.quote(error.key)) as \(format.rawValue): \
      \(error.reason); use --format jsonl, or leave such records out with --skip-unfit
      """)
  }

  // MARK: Writers

  private func makeWriter(_ output: ByteOutput) throws -> any DumpWriter {
    switch format {
    case .jsonl: JSONLinesWriter(output)
    case .gdbm: GDBMTextWriter(output, origin: try origin(), program: Program.nameAndVersion)
    case .gdbmBinary: GDBMBinaryWriter(output, program: Program.nameAndVersion)
    }
  }

  private func origin() throws -> GDBMTextWriter.Origin {
    var status = stat()
    guard unsafe stat(store, &status) == 0 else {
      throw Failure(.inputOutput, "cannot look at '\(store)': \(Errno(rawValue: errno))")
    }
    let user = unsafe getpwuid(status.st_uid)
    let group = unsafe getgrgid(status.st_gid)
    return GDBMTextWriter.Origin(
      file: "\(FilePath(store).stem ?? "store").gdbm",
      userID: status.st_uid,
      user: unsafe user.map { unsafe String(cString: $0.pointee.pw_name) },
      groupID: status.st_gid,
      group: unsafe group.map { unsafe String(cString: $0.pointee.gr_name) },
      mode: UInt32(status.st_mode))
  }
}

extension DumpFormat: ExpressibleByArgument {}

extension Store.Expiry {
  fileprivate var millisecondsSince1970: UInt64? {
    if case .at(let milliseconds) = self { milliseconds } else { nil }
  }
}
