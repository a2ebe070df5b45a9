import TestSupport

@testable import KVMap

/// The keys and values of a life, by number. States of the store are compared by these numbers;
/// bytes are compared only where a record is read.
final class Catalogue {
  let keys: [[UInt8]]
  let hashes: [KeyHash]
  private(set) var values: [[UInt8]] = []

  init(keys: [[UInt8]]) {
    self.keys = keys
    hashes = keys.map { unsafe KeyHash($0.span.bytes, seed: Simulation.seed) }
  }

  /// Enters a value of `count` bytes with a random pattern.
  func newValue(count: Int, _ random: inout SeededGenerator) -> Int32 {
    let pattern = random.next()
    values.append((0..<count).map { UInt8(truncatingIfNeeded: pattern >> UInt64($0 % 8 * 8)) })
    return Int32(values.count - 1)
  }
}

/// What a store should hold: for each key of the catalogue, the number of its value and when it
/// expires, or nothing.
struct Contents: Equatable {
  struct Record: Equatable {
    var value: Int32
    /// `UInt64.max` for never.
    var expiry: UInt64
  }

  private(set) var records: [Record?]
  private(set) var count = 0

  init(keys: Int) { records = Array(repeating: nil, count: keys) }

  subscript(key: Int) -> Record? {
    get { records[key] }
    set {
      count += (newValue == nil ? 0 : 1) - (records[key] == nil ? 0 : 1)
      records[key] = newValue
    }
  }

  func isLive(_ key: Int, at time: UInt64) -> Bool {
    records[key].map { $0.expiry > time } ?? false
  }
}

/// The states that a store has been in, and which of them a crash may leave.
struct History {
  let catalogue: Catalogue
  /// Compaction may have dropped what expired up to this time.
  let time: UInt64
  /// Contents after commit n at index n.
  var states: [Contents]
  /// Commits begun, and commits known to be durable; −1 before there is a store.
  var begun = 0
  var durable: Int
  private var void: Set<Int> = []

  init(catalogue: Catalogue, time: UInt64, states: [Contents], durable: Int) {
    self.catalogue = catalogue
    self.time = time
    self.states = states
    self.durable = durable
  }

  var allowed: [Int] { (max(0, durable)...max(0, begun)).filter { !void.contains($0) } }

  mutating func apply(_ event: Trace.Event) {
    switch event {
    case .begun(let number): begun = number
    case .durable(let number): durable = max(durable, number)
    case .void(let number): void.insert(number)
    case .store, .grow, .truncate, .allocate, .punch, .sync, .failedSync, .lostWrites: break
    }
  }

  /// The latest of the states `candidates` that `memory` holds exactly; nil if none.
  func find(_ candidates: [Int], in memory: StoreMemory) throws(Store.Error) -> Int? {
    let index = IndexReader(memory: memory)
    let count = Int(memory.shared[.recordCount])
    var found = 0
    var left = candidates
    for key in catalogue.keys.indices where !left.isEmpty {
      let bytes = catalogue.keys[key]
      let match = try unsafe index.find(catalogue.hashes[key], bytes.span.bytes)
      if match != nil { found += 1 }
      // Mostly a key is the same in all candidates.
      var known: (record: Contents.Record?, isThere: Bool)?
      try left.removeAll { state throws(Store.Error) in
        let record = states[state][key]
        if let known, known.record == record { return !known.isThere }
        let isThere = try self.matches(match, record, memory)
        known = (record, isThere)
        return !isThere
      }
    }
    // Otherwise there are keys that nobody put.
    return found == count ? left.last : nil
  }

  private func matches(
    _ match: IndexReader.Match?, _ record: Contents.Record?, _ memory: StoreMemory
  ) throws(Store.Error) -> Bool {
    guard let match else { return record.map { $0.expiry <= time } ?? true }
    guard let record else { return false }
    let range = try match.record(memory).valueRange()
    let value = catalogue.values[Int(record.value)]
    guard range.count == value.count,
      (match.record(memory).expiry ?? UInt64.max) == record.expiry
    else { return false }
    return unsafe memory.bytes.equals(value.span.bytes, at: range.lowerBound)
  }
}

extension Array {
  fileprivate mutating func removeAll(
    _ isRemoved: (Element) throws(Store.Error) -> Bool
  ) throws(Store.Error) {
    var kept: [Element] = []
    for element in self where try !isRemoved(element) { kept.append(element) }
    self = kept
  }
}
