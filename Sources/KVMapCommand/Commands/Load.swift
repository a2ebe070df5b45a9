import ArgumentParser
import KVMap

struct Load: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Put all records of a dump into a store.",
    discussion: """
      Reads what 'kvmap dump' and 'gdbm_dump' write, and CSV and TSV, from standard input or FILE. All records are \
      loaded or none: \
      a dump that is damaged or cut off fails with the place of the fault and leaves no trace, and so does an \
      interrupt. If the store does not exist, it appears when it is complete. The loaded records are safe from \
      loss of power.

      Another program can write records as lines like {"key":"sky","value":"blue"}, without header and last line. \
      Then a truncated dump cannot be detected.

      csv and tsv are lines of a key and a value, with a comma or a tab between them, and have to be asked for, or be \
      the end of FILE's name. In csv, "" around a field may hold commas, newlines and "" for a quote (RFC 4180); tsv takes \
      other bytes as they are. A line ends with a newline, or CR and newline. Neither has an end mark, so a truncated file can look whole.

      Others cannot write to the store while a dump is loaded into it. Input from a pipe is first read to its end, \
      into a temporary file.

      EXAMPLES
        kvmap load colours.kvmap colours.jsonl
        gdbm_dump colours.gdbm | kvmap load colours.kvmap
        kvmap load --on-conflict skip colours.kvmap < more.jsonl
        kvmap load --keep-going rescued.kvmap damaged.jsonl
        kvmap load --header users.kvmap users.csv
        kvmap list colours.kvmap --values | kvmap load --format tsv copy.kvmap
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case auto
    case jsonl
    case gdbm
    case gdbmBinary = "gdbm-binary"
    case csv
    case tsv
  }

  enum Conflict: String, CaseIterable, ExpressibleByArgument {
    case replace
    case skip
    case fail
  }

  @Argument(help: "The store; created if it does not exist.", completion: .file())
  var store: String

  @Argument(help: "The dump; - or none for standard input.", completion: .file())
  var file: String?

  @Option(help: "The format; auto: determined by the end of FILE's name and by the first byte.")
  var format = Format.auto

  @Flag(help: "Skip the first line of csv and tsv, which names the columns.")
  var header = false

  @Option(
    help: """
      What to do with a key that exists already, in the store or earlier in the dump: replace its value, skip the \
      record, or fail and load nothing, with status 1.
      """)
  var onConflict = Conflict.replace

  @Flag(
    help: """
      Keep what can be read of a damaged dump: leave out damaged lines of jsonl, csv and tsv, and load the other \
      formats up to the fault. The status is still 65.
      """)
  var keepGoing = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    var input = try InputFile(file)
    try input.check(besides: store)
    let existing = try openExisting()
    // During a transaction nobody else can write, so it must not wait for the program that writes the dump.
    if existing != nil, input.size == nil { input = try input.spooled() }
    let progress = Progress(
      self, share: { [input] in input.size.map { min(1, Double(input.bytesRead) / Double($0)) } })
    defer { progress.clear() }
    var loader = try DumpLoader(
      reader: makeReader(input), source: input.name, command: self, progress: progress)
    if let existing {
      try existing.transaction(durability: .onCommit) { transaction in
        try loader.load { record, condition in
          try transaction.put(
            record.value, forKey: record.key, if: condition,
            expires: Store.Expiry(milliseconds: record.expires))
        }
      }
      try existing.close()
    } else {
      try Store.create(at: store) { store in
        try loader.load { record, condition in
          try store.put(
            record.value, forKey: record.key, if: condition,
            expires: Store.Expiry(milliseconds: record.expires))
        }
      }
    }
    progress.clear()
    try loader.reportFaults()
  }

  private func makeReader(_ input: InputFile) throws -> any DumpReader {
    var bytes = ByteInput { try input.read() }
    switch format {
    case .auto where file?.hasSuffix(".csv") == true, .csv:
      return SeparatedReader(bytes, .commas, hasHeader: header)
    case .auto where file?.hasSuffix(".tsv") == true, .tsv:
      return SeparatedReader(bytes, .tabs, hasHeader: header)
    case .auto: return try recognisedFormat(&bytes, input).makeReader(bytes)
    case .jsonl: return DumpFormat.jsonl.makeReader(bytes)
    case .gdbm: return DumpFormat.gdbm.makeReader(bytes)
    case .gdbmBinary: return DumpFormat.gdbmBinary.makeReader(bytes)
    }
  }

  private func recognisedFormat(_ bytes: inout ByteInput, _ input: InputFile) throws -> DumpFormat {
    if let dumper = try Self.dumper(of: &bytes) {
      let name = file.map { $0 == "-" ? "FILE" : Self.quoted($0) } ?? "FILE"
      throw Failure(
        .damaged,
        "\(input.name) is a file of \(dumper.program), not a dump; to load it: "
          + "\(dumper.command) \(name) | kvmap load \(Self.quoted(store))")
    }
    do {
      return try DumpFormat(sniffing: &bytes)
    } catch let error as DamagedInput {
      throw Failure(.damaged, "\(input.name): \(error.reason)")
    }
  }

  /// What dumps a file that begins like this, if it is one of gdbm or a store.
  private static func dumper(of bytes: inout ByteInput) throws -> (program: String, command: String)? {
    let start = try bytes.peek(4)
    if GDBMLimits.isDatabase(start) { return ("gdbm", "gdbm_dump") }
    if start.elementsEqual([0x89] + "KVM".utf8) { return ("kvmap", "kvmap dump") }
    return nil
  }

  /// As a word for the shell.
  private static func quoted(_ name: String) -> String {
    "'\(name.replacing("'", with: #"'\''"#))'"
  }
}

extension Store.Expiry {
  fileprivate init(milliseconds: UInt64?) {
    self = milliseconds.map { .at(millisecondsSince1970: $0) } ?? .never
  }
}
