import ArgumentParser
import KVMap
import SystemPackage

struct Load: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "load",
    abstract: "Put all records of a dump into a store.",
    discussion: """
      Reads what 'kvmap dump' and 'gdbm_dump' write, from standard input or FILE. All records are loaded or none: \
      a dump that is damaged or cut off fails with the place of the fault and leaves no trace, and so does an \
      interrupt. If the store does not exist, it appears when it is complete. The loaded records are safe from \
      loss of power.

      Another program can write records as lines like {"key":"sky","value":"blue"}, without header and last line. \
      Then a truncated dump cannot be detected.

      Others cannot write to the store while a dump is loaded into it. Input from a pipe is first read to its end, \
      into a temporary file.

      EXAMPLES
        kvmap load colours.kvmap colours.jsonl
        gdbm_dump colours.gdbm | kvmap load colours.kvmap
        kvmap load --on-conflict skip colours.kvmap < more.jsonl
        kvmap load --keep-going rescued.kvmap damaged.jsonl
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case auto
    case jsonl
    case gdbm
    case gdbmBinary = "gdbm-binary"
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

  @Option(help: "The format of the dump; auto: determined by its first byte.")
  var format = Format.auto

  @Option(
    help: """
      What to do with a key that exists already, in the store or earlier in the dump: replace its value, skip the \
      record, or fail and load nothing, with status 1.
      """)
  var onConflict = Conflict.replace

  @Flag(
    help: """
      Keep what can be read of a damaged dump: leave out damaged lines of jsonl, and load the other formats up \
      to the fault. The status is still 65.
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
            record.value, forKey: record.key, if: condition, expires: Expiry(milliseconds: record.expires))
        }
      }
      try existing.close()
    } else {
      try Store.create(at: FilePath(store)) { store in
        try loader.load { record, condition in
          try store.put(
            record.value, forKey: record.key, if: condition, expires: Expiry(milliseconds: record.expires))
        }
      }
    }
    progress.clear()
    try loader.reportFaults()
  }

  private func makeReader(_ input: InputFile) throws -> any DumpReader {
    var bytes = ByteInput { try input.read() }
    switch format {
    case .auto:
      do {
        return try DumpFormat(sniffing: &bytes).makeReader(bytes)
      } catch let error as DamagedInput {
        throw Failure(.damaged, "\(input.name): \(error.reason)")
      }
    case .jsonl: return DumpFormat.jsonl.makeReader(bytes)
    case .gdbm: return DumpFormat.gdbm.makeReader(bytes)
    case .gdbmBinary: return DumpFormat.gdbmBinary.makeReader(bytes)
    }
  }
}

extension Expiry {
  fileprivate init(milliseconds: UInt64?) {
    self = milliseconds.map { .at(millisecondsSince1970: $0) } ?? .never
  }
}
