import Foundation

/// Puts into a store that holds a tenth of the records, and is opened so that a put is durable when it
/// returns.
extension Phase {
  private static let puts = 2_000
  private static let batches = 200
  private static let batchCount = 100

  static let durablePut = Phase(
    "durable-put", [Row("durable put, median", .microseconds), Row("durable put, 99 %", .microseconds)],
    needsRecords: false, work: Work.shuffled(0)
  ) { trial, work in
    guard trial.type is any Persistent.Type else { return nil }
    return try trial.durably(work, times: puts, 1) { contender, keys, values in
      try contender.put(keys[keys.startIndex], values[0])
    }
  }

  static let durableBatch = Phase(
    "durable-batch",
    [
      Row("durable transaction of \(batchCount), median", .microseconds),
      Row("durable transaction of \(batchCount), 99 %", .microseconds),
    ], needsRecords: false, work: Work.shuffled(0)
  ) { trial, work in
    guard trial.type is any (Persistent & HasTransactions).Type else { return nil }
    return try trial.durably(work, times: batches, batchCount) { contender, keys, values in
      guard let contender = contender as? any HasTransactions else { return }
      try contender.putMany(keys, values)
    }
  }
}

extension Trial {
  /// Calls `put` `times` times, each time with the next `count` keys. Returns the calls' latency: the
  /// median and the 99 % value.
  fileprivate func durably(
    _ work: Work, times: Int, _ count: Int,
    _ put: (any Contender, ArraySlice<[UInt8]>, [[UInt8]]) throws -> Void
  ) throws -> [Double?] {
    try close()
    var place = try newPlace()
    let preloaded = workload.count / 10
    var values = [[UInt8]](repeating: workload.emptyValue, count: count)
    let plain = try type.init(place)
    for key in work.keys[..<preloaded] { try plain.put(key, values[0]) }
    try plain.close()
    // The timed puts do not have to wait for the records that were put before.
    sync()
    place.isDurable = true
    let contender = try type.init(place)
    var latencies: [Double] = []
    let clock = ContinuousClock()
    for first in stride(from: preloaded, through: work.keys.count - count, by: count).prefix(times) {
      let batch = first..<first + count
      for index in batch { Workload.fill(&values[index - first], work.numbers[index], version: 1) }
      let start = clock.now
      try put(contender, work.keys[batch], values)
      latencies.append((clock.now - start).microseconds)
      for index in batch {
        let right = Bytes.checksum(values[index - first])
        let found = try contender.get(work.keys[index])
        guard found == right else { throw Wrong("a value is wrong") }
      }
    }
    try contender.close()
    try remove(place)
    return latencies.isEmpty ? [nil, nil] : [latencies.median, latencies.share(0.99)]
  }
}
