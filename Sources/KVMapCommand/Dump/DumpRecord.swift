/// One record of a dump.
struct DumpRecord: Equatable, Sendable {
  var key: [UInt8] = []
  var value: [UInt8] = []
  /// When the record expires, in milliseconds since 1970; nil if never.
  var expires: UInt64?

  /// The longest key a store takes. Readers refuse a longer one before collecting its bytes.
  static let longestKey = 65_536

  /// Why a key is too long; nil if it is not.
  static func tooLong(_ key: [UInt8]) -> String? {
    key.count > longestKey ? "has \(key.count) bytes; the most is \(longestKey)" : nil
  }
}

/// Reads the records of a dump one after the other, holding one record in memory.
protocol DumpReader {
  /// Overwrites `record` with the next record, reusing its memory.
  ///
  /// - Returns: false after the last record, if the dump's own end marks are right.
  /// - Throws: `DamagedInput`, or what the source of bytes throws.
  mutating func next(into record: inout DumpRecord) throws -> Bool

  /// Where the record last read began: "line 12", "byte 1044".
  var place: String { get }

  /// Moves past the fault after `next` threw a `DamagedInput` whose `sparesRest` is true.
  mutating func skipFault() throws
}

/// Writes the records of a dump one after the other.
protocol DumpWriter {
  /// Writes the part before the first record.
  mutating func begin() throws
  /// - Throws: `UnfitRecord`, or what the sink throws.
  mutating func write(_ record: DumpRecord) throws
  /// Writes the part after the last record and flushes all buffered bytes.
  mutating func finish() throws
}

/// Input that violates its format.
struct DamagedInput: Error, Equatable, CustomStringConvertible {
  /// "line 12", "byte 1044".
  let place: String
  let reason: String
  /// Whether the input after the fault can still be read.
  var sparesRest = false

  var description: String { "\(place): \(reason)" }
}

/// A record that the chosen dump format cannot hold.
struct UnfitRecord: Error, Equatable {
  let key: [UInt8]
  let reason: String
}
