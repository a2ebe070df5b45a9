import KVMap
import SystemPackage

/// Measures the calls of a store with some records.
struct BenchRun {
  let records: BenchRecords
  let store: Store
  /// Called before each phase, with the share of them that is done.
  let progress: (Double) -> Void

  /// Reading, and overwriting what is in memory, is measured so often.
  static let rounds = 3
  private static let batch = 100

  /// All phases, in the order in which they are measured.
  func measure(in directory: FilePath) throws -> [Measurement] {
    let count = records.count
    var order = Array(0..<count)
    var generator = BenchGenerator()
    order.shuffle(using: &generator)
    let ending = Array(String(UInt64.random(in: .min ... .max), radix: 16).utf8)
    let absent = order.map { records.keys[$0].suffix(DumpRecord.longestKey - ending.count) + ending }
    var all: [Measurement] = []
    func add(_ phase: () throws -> Measurement) throws {
      progress(Double(all.count) / 11)
      all.append(try phase())
    }

    try add { try Measurement("load", "put of a new key", calls: count) { try put(records.keys.indices) } }
    try add {
      try Measurement("get", "get", calls: count, rounds: Self.rounds) {
        for index in order where try store.get(records.keys[index])?.count != records.sizes[index] {
          throw Failure(.damaged, "the benchmark's store does not have what was put into it")
        }
      }
    }
    try add {
      try Measurement("get_absent", "get of an absent key", calls: count, rounds: Self.rounds) {
        for key in absent where try store.get(key) != nil {
          throw Failure(.damaged, "the benchmark's store has what was not put into it")
        }
      }
    }
    try add {
      try Measurement("scan", "scan, each record", calls: count, rounds: Self.rounds) {
        var bytes = 0
        try store.forEach { key, value in bytes += key.byteCount + value.byteCount }
        if bytes != records.keyBytes + records.valueBytes {
          throw Failure(.damaged, "the benchmark's store does not have what was put into it")
        }
      }
    }
    try add {
      try Measurement("overwrite", "overwrite", calls: count, rounds: Self.rounds) { try put(order) }
    }
    try add {
      try Measurement(eachOf: "durable_put", "durable put", most: 1_000) { number in
        let index = order[number % count]
        try store.put(records.value(index), forKey: records.keys[index], durability: .onCommit)
      }
    }
    try add {
      try Measurement(eachOf: "durable_batch", "durable batch of \(Self.batch) puts", most: 200) { number in
        try store.transaction(durability: .onCommit) { transaction in
          for step in 0..<Self.batch {
            let index = order[(number * Self.batch + step) % count]
            try transaction.put(records.value(index), forKey: records.keys[index])
          }
        }
      }
    }
    try add {
      try Measurement("delete", "delete", calls: count) {
        for index in order { try store.remove(records.keys[index]) }
      }
    }
    try add { MachineFloors.copying(records, rounds: Self.rounds) }
    progress(10.0 / 11)
    return all + (try MachineFloors.syncing(in: directory))
  }

  private func put(_ order: some Sequence<Int>) throws {
    for index in order { try store.put(records.value(index), forKey: records.keys[index]) }
  }
}
