/// Something that keeps records, opened at a place.
///
/// What only some contenders offer is a protocol of its own: a phase that needs it leaves the others out.
protocol Contender: AnyObject {
  static var about: About { get }
  init(_ place: Place) throws
  func close() throws

  func put(_ key: [UInt8], _ value: [UInt8]) throws
  /// Checksum of a copy of the value that the caller may keep; nil if there is none.
  func get(_ key: [UInt8]) throws -> UInt64?
}

/// Has files, which can be opened again; a put is durable when it returns if the place asks for that.
protocol Persistent: Contender {}

protocol Deletes: Contender {
  /// Whether the key was there.
  func delete(_ key: [UInt8]) throws -> Bool
}

protocol ReadsInPlace: Contender {
  /// Checksum of the value where it lies, without a copy that the caller could keep; nil if there is none.
  func getInPlace(_ key: [UInt8]) throws -> UInt64?
}

protocol ReadsMany: Contender {
  /// One call or one transaction for all keys. Adds what it finds to the tally.
  func getMany(_ keys: [[UInt8]], _ tally: inout Tally) throws
}

protocol HasTransactions: Contender {
  /// All of them or none, even after a crash of the process.
  func putMany(_ keys: ArraySlice<[UInt8]>, _ values: [[UInt8]]) throws
}

protocol Scans: Contender {
  /// All keys and values, in the fastest way.
  func scan() throws -> Tally
}

protocol Walks: Contender {
  /// Step by step, so that the caller could stop and go on later.
  func walkKeys() throws -> Tally
  func walk() throws -> Tally
}

/// What is said of a contender beside its figures.
struct About: Codable {
  /// Its name in tables.
  let name: String
  let version: String
  /// How it is set up, where that is not the default.
  let setup: String
  /// What it does not promise when it is used this way.
  let lacks: String

  /// The name that `--contenders` takes.
  var identifier: String { name.lowercased().replacing(" ", with: "-") }
}

/// Where the files of a contender are, and what it is opened for.
struct Place {
  enum Access { case write, read }

  let directory: String
  var access: Access = .write
  var isDurable = false
  /// How many records will come, for contenders that need to know it beforehand.
  let records: Int
  let recordBytes: Int

  var file: String { "\(directory)/records" }
}

/// A contender that gave wrong data or failed.
struct Wrong: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
