/// Something that keeps records.
protocol Contender {
  static var name: String { get }
  /// Opens what lies at `path`, or makes it.
  init(_ path: String) throws
  mutating func close() throws

  mutating func put(_ key: [UInt8], _ value: [UInt8]) throws
  /// Checksum of the value; nil if there is none.
  func get(_ key: [UInt8]) throws -> UInt64?
  mutating func delete(_ key: [UInt8]) throws -> Bool
  /// Number of records, and the sum of their values' checksums.
  func scan() throws -> (count: Int, sum: UInt64)

  /// Checksum of the value where it lies, without a copy; for those that offer it.
  func getInPlace(_ key: [UInt8]) throws -> UInt64?
  static var hasGetInPlace: Bool { get }
  /// A put that survives loss of power when it returns; for those that have a file.
  mutating func putDurably(_ key: [UInt8], _ value: [UInt8]) throws
  static var hasFile: Bool { get }
}

extension Contender {
  static var hasGetInPlace: Bool { false }
  static var hasFile: Bool { true }
  func getInPlace(_ key: [UInt8]) throws -> UInt64? { nil }
}

/// A contender that gave wrong data or failed.
struct Wrong: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
