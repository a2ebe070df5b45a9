import ArgumentParser
import KVMap

/// Keys as arguments or from standard input, and their encoding.
struct KeysArgument: ParsableArguments {
  @Argument(help: "The keys; one may be empty.")
  var key: [String] = []

  @Flag(
    name: [.customShort("0"), .customLong("null")],
    help: "Read the keys from standard input, each ended by a zero byte, as 'kvmap list -0' prints them.")
  var null = false

  @Flag
  var encoding: KeyEncoding?

  /// How many keys are read from standard input before something is done with them.
  private static let mostAtOnce = 1_000

  func validate() throws { _ = try arguments() }

  /// Throws unless there is a key, or standard input is to be read.
  func requireSome() throws {
    if key.isEmpty, !null { throw ValidationError("Missing expected argument '<key>'") }
    if !key.isEmpty, null { throw ValidationError("Keys and -0 exclude each other") }
  }

  /// Whether results have to name their keys.
  var mayBeSeveral: Bool { null || key.count > 1 }

  func arguments() throws -> [[UInt8]] {
    try key.map { try keyBytes($0, encoding, name: "KEY") }
  }

  /// Passes all keys to `body`: those of the arguments at once, those of standard input some at a time.
  func forEachBatch(_ body: ([[UInt8]]) throws -> Void) throws {
    guard null else { return try body(try arguments()) }
    let input = try InputFile(nil)
    var reader = NullFramedReader(ByteInput { try input.read() })
    var batch: [[UInt8]] = []
    var done = 0
    do {
      while let text = try reader.next() {
        batch.append(try decode(text, reader))
        guard batch.count == Self.mostAtOnce else { continue }
        try body(batch)
        done += batch.count
        batch.removeAll(keepingCapacity: true)
      }
    } catch let fault as DamagedInput {
      throw Failure(.damaged, "\(input.name), \(fault); keys done before it: \(done)")
    }
    try body(batch)
  }

  private func decode(_ text: [UInt8], _ reader: NullFramedReader) throws(DamagedInput) -> [UInt8] {
    guard let key = encoding.map({ $0.decode(text) }) ?? text else {
      throw reader.fault("it has to be \(encoding?.requirement ?? "")")
    }
    if let reason = DumpRecord.tooLong(key) { throw reader.fault("it \(reason)") }
    return key
  }
}
