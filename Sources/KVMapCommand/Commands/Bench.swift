import ArgumentParser
import KVMap
import MappedMemory
import SystemPackage

struct Bench: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure how fast a store is on this machine.",
    discussion: """
      Makes a store for itself, measures, and removes it, also at an interrupt (Ctrl-C); only a kill leaves the file, whose \
      name begins with .kvmap-bench. STORE is never changed. Without STORE, in the current directory, with keys of 16 \
      bytes and values of --value-bytes. With STORE, in its directory, with its keys and values as long as its own: up to \
      1,000,000 records and 1 GiB, or up to --keys.

      Everything is in memory when it is read, so this is the speed of a store that fits into it. The keys come in random \
      order. One thread makes one call after the other. Reading and overwriting are measured three times, and the round in \
      the middle counts. Durable calls, and the machine's, are timed one by one, up to 1,000 or for two seconds; their \
      median counts. The machine's lines are the least that is possible: copying a value in memory, and getting a page of \
      4 KiB onto the disk.

      On a terminal, numbers have units. Elsewhere each line has a name, nanoseconds a call, the number of calls, and \
      the worst: of durable calls what 99 % do not exceed, else the slowest round's mean, or nothing.

      JSON is one object with "version", which is 1 and changes if a member gets another meaning; "records"; "key_bytes" \
      and "value_bytes", which are averages; "of_store" (true or false); "file_system" (its name, or null); "processors"; \
      and "measurements", an array of objects with "name", "subject" ("store" or "machine"), "calls" of a round, \
      "rounds", "ns" of a call, "slowest_round_ns" and "p99_ns", one of which is a number at most.

      EXAMPLES
        kvmap bench
        kvmap bench --value-bytes 4096 --keys 10000
        kvmap bench orders.kvmap --svg bench.svg
        kvmap bench --json | jq '.measurements[] | {name, ns}'
      """)

  @Argument(
    help: ArgumentHelp("A store whose keys and sizes are taken.", valueName: "store"), completion: .file())
  var like: String?

  @Option(
    help: ArgumentHelp("The length of the values.", discussion: "100 if it is not given.", valueName: "n"))
  var valueBytes: Int?

  @Option(
    help: ArgumentHelp(
      "How many keys; without STORE 100,000, or fewer if they would make more than 256 MiB.", valueName: "n"))
  var keys: Int?

  @Flag(help: "Print one JSON object.")
  var json = false

  @Option(help: ArgumentHelp("Draw a chart too.", valueName: "file"), completion: .file())
  var svg: String?

  @OptionGroup var common: CommonOptions

  /// The store that is not to be changed; an empty name if there is none.
  var store: String { like ?? "" }

  private static let usualValue = 100
  private static let usualKeys = 100_000
  private static let usualBytes = 256 << 20
  private static let largestValue = 1 << 30

  func validate() throws {
    if like != nil, valueBytes != nil {
      throw ValidationError(
        "STORE and --value-bytes exclude each other: the store's values have their lengths")
    }
    if let valueBytes, !(0...Self.largestValue).contains(valueBytes) {
      throw ValidationError("--value-bytes has to be 0 to \(Self.largestValue)")
    }
    if let keys, keys < 1 { throw ValidationError("--keys has to be 1 or more") }
  }

  func run() throws {
    let chart = try svg.map { try OutputFile($0, besides: store) }
    let records = try makeRecords()
    let directory = like.map { FilePath($0).removingLastComponent() } ?? ""
    let place = directory.isEmpty ? "." : directory
    let result = BenchResult(
      records: records, isOfStore: like != nil, place: place, measurements: try measure(records, in: place))
    if let chart {
      var stream = chart.stream
      try stream.append(BenchChart(result).text)
      try stream.flush()
      try chart.finish()
    }
    var output = standardOutput()
    let hasUnits = Terminal.isTerminal(.standardOutput)
    try output.append(json ? result.object : hasUnits ? result.table : result.lines)
    try output.flush()
  }

  private func makeRecords() throws -> BenchRecords {
    guard like != nil else {
      let size = valueBytes ?? Self.usualValue
      return BenchRecords(
        count: keys ?? max(10, min(Self.usualKeys, Self.usualBytes / max(1, size))), valueBytes: size)
    }
    let records = try BenchRecords(
      of: openForReading(), limit: keys ?? 1_000_000, byteLimit: keys == nil ? 1 << 30 : .max)
    if records.count == 0 {
      throw Failure(.failure, "'\(store)' is empty; without STORE, bench makes keys and values itself")
    }
    return records
  }

  private func measure(_ records: BenchRecords, in directory: FilePath) throws -> [Measurement] {
    let scratch = ScratchFile(in: directory, prefix: ".kvmap-bench")
    var options = Store.Options(timeout: common.timeout.duration)
    options.mode = 0o600
    let store = try Store(scratch.path, options: options)
    var share = 0.0
    let progress = Progress(self, unit: "phases", share: { share })
    defer { progress.clear() }
    let measurements = try BenchRun(records: records, store: store) {
      share = $0
      progress.update(Int($0 * 11), always: true)
    }
    .measure(in: directory)
    try store.close()
    return measurements
  }
}
