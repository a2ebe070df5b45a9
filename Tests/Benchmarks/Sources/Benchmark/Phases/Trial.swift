import Foundation

/// One run of a contender through the phases.
final class Trial {
  let type: any Contender.Type
  let workload: Workload
  var contents: Contents
  private let directory: String
  private var opened: (any Contender)?
  private var places = 0
  private(set) var place: Place
  private(set) var memoryBefore = (resident: 0, anonymous: 0)

  static let openings = 11

  init(_ type: any Contender.Type, _ workload: Workload, directory: String) throws {
    self.type = type
    self.workload = workload
    self.directory = directory
    contents = Contents(workload)
    place = try Self.makePlace("\(directory)/main", workload)
  }

  /// The figures, by the titles of their rows.
  func run(_ phases: [Phase]) throws -> [String: Double] {
    let works = phases.map { $0.work(workload) }
    // This contender does not have to wait for what the one before has left to be written.
    sync()
    memoryBefore = (ProcessMemory.resident, ProcessMemory.anonymous)
    ProcessMemory.resetPeak()
    var figures: [String: Double] = [:]
    for (phase, work) in zip(phases, works) {
      do {
        guard let values = try phase.run(self, work) else { continue }
        for (row, value) in zip(phase.rows, values) { figures[row.title] = value }
      } catch {
        throw Wrong("\(type.about.name), \(phase.name): \(error)")
      }
    }
    try opened?.close()
    return figures
  }

  // MARK: The contender

  /// The store with the records. The first phase that asks for it opens it.
  func contender() throws -> any Contender {
    if let opened { return opened }
    let new = try type.init(place)
    opened = new
    return new
  }

  func close() throws {
    try opened?.close()
    opened = nil
  }

  /// Nil if the contender has no files.
  func makePersistent(_ place: Place) throws -> (any Persistent)? {
    try (type as? any Persistent.Type).map { try $0.init(place) }
  }

  /// A new place, for a store of its own.
  func newPlace() throws -> Place {
    places += 1
    return try Self.makePlace("\(directory)/\(places)", workload)
  }

  func remove(_ place: Place) throws { try FileManager.default.removeItem(atPath: place.directory) }

  private static func makePlace(_ directory: String, _ workload: Workload) throws -> Place {
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    return Place(
      directory: directory, records: workload.count, recordBytes: workload.keyBytes + workload.valueBytes)
  }

  // MARK: Loops

  /// The nanoseconds that `body` takes for each of `count` operations.
  func time(per count: Int, _ body: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    return try clock.measure(body).nanoseconds / Double(count)
  }

  /// Puts a new version of each record.
  func put(_ work: Work) throws -> Double {
    let contender = try contender()
    let version = contents.newVersions()
    var value = workload.emptyValue
    let result = try time(per: work.keys.count) {
      for index in work.keys.indices {
        Workload.fill(&value, work.numbers[index], version: version)
        try contender.put(work.keys[index], value)
      }
    }
    for number in work.numbers { contents.set(number, version: version) }
    return result
  }

  /// Gets each key, and checks what was found.
  func get(_ work: Work, _ get: ([UInt8]) throws -> UInt64?) throws -> Double {
    var fold = Fold()
    let result = try time(per: work.keys.count) {
      for key in work.keys {
        guard let found = try get(key) else { throw Wrong("a key is missing") }
        fold.add(found)
      }
    }
    guard fold == contents.fold(work.numbers) else { throw Wrong("a value is wrong") }
    return result
  }

  func check(_ tally: Tally, _ right: Tally) throws {
    guard tally.count == right.count else { throw Wrong("\(tally.count) records instead of \(right.count)") }
    guard tally == right else { throw Wrong("a record is wrong") }
  }

  /// Disk space of the files, for each byte of keys and values; nil without files.
  func space() throws -> Double? {
    guard type is any Persistent.Type else { return nil }
    return Double(try allocatedBytes(in: place.directory)) / Double(place.records * place.recordBytes)
  }
}

extension Duration {
  var nanoseconds: Double { Double(components.seconds) * 1e9 + Double(components.attoseconds) / 1e9 }
  var microseconds: Double { nanoseconds / 1_000 }
}

extension [Double] {
  var median: Double { share(0.5) }

  /// The value at this share of all values in their order: 0.5 is the median, 1 the largest.
  func share(_ share: Double) -> Double { sorted()[Swift.min(count - 1, Int(Double(count) * share))] }
}
