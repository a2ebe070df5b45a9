extension Phase {
  static let load = Phase(
    "load", [Row("load"), Row("file, on disk, loaded", .perByte)], work: Work.shuffled(0)
  ) { trial, work in [try trial.put(work), try trial.space()] }

  static let overwrite = Phase(
    "overwrite", [Row("overwrite"), Row("file, on disk, overwritten", .perByte)], work: Work.shuffled(4)
  ) { trial, work in [try trial.put(work), try trial.space()] }

  static let overwriteLatency = Phase(
    "overwrite-latency",
    [
      Row("overwrite, 50 %"), Row("overwrite, 99 %"), Row("overwrite, 99.9 %"),
      Row("overwrite, worst", .microseconds),
    ], work: Work.shuffled(5)
  ) { trial, work in
    let contender = try trial.contender()
    let version = trial.contents.newVersions()
    var value = trial.workload.emptyValue
    var times: [Double] = []
    times.reserveCapacity(work.keys.count)
    let clock = ContinuousClock()
    for (number, key) in zip(work.numbers, work.keys) {
      Workload.fill(&value, number, version: version)
      let start = clock.now
      try contender.put(key, value)
      times.append((clock.now - start).nanoseconds)
      trial.contents.set(number, version: version)
    }
    times.sort()
    return [times.share(0.5), times.share(0.99), times.share(0.999), times.share(1) / 1_000]
  }

  static let zipfHalf = mixed("zipf-50-50", "50 % get, 50 % put, Zipf", 6, puts: 50)
  static let zipfFew = mixed("zipf-95-5", "95 % get, 5 % put, Zipf", 7, puts: 5)

  private static func mixed(_ name: String, _ title: String, _ purpose: UInt64, puts: Int) -> Phase {
    Phase(name, [Row(title)], work: Work.zipf(purpose, puts: puts)) { trial, work in
      let contender = try trial.contender()
      let first = trial.contents.newVersions(work.keys.count)
      var value = trial.workload.emptyValue
      var fold = Fold()
      let result = try trial.time(per: work.keys.count) {
        for index in work.keys.indices {
          if work.isPut[index] {
            Workload.fill(&value, work.numbers[index], version: first + UInt64(index))
            try contender.put(work.keys[index], value)
          } else {
            guard let found = try contender.get(work.keys[index]) else { throw Wrong("a key is missing") }
            fold.add(found)
          }
        }
      }
      var right = Fold()
      for (index, number) in work.numbers.enumerated() {
        if work.isPut[index] {
          trial.contents.set(number, version: first + UInt64(index))
        } else {
          right.add(trial.contents.checksum(number, &value))
        }
      }
      guard fold == right else { throw Wrong("a value is wrong") }
      return [result]
    }
  }

  private static let batchCount = 1_000

  static let loadInBatches = Phase(
    "load-in-batches", [Row("load, \(batchCount) a transaction, each")], needsRecords: false,
    work: Work.shuffled(0)
  ) { trial, work in
    guard let type = trial.type as? any HasTransactions.Type else { return nil }
    try trial.close()
    let place = try trial.newPlace()
    let contender = try type.init(place)
    var values = [[UInt8]](repeating: trial.workload.emptyValue, count: batchCount)
    let result = try trial.time(per: work.keys.count) {
      for first in stride(from: 0, to: work.keys.count, by: batchCount) {
        let batch = first..<min(first + batchCount, work.keys.count)
        for index in batch { Workload.fill(&values[index - first], work.numbers[index], version: 0) }
        try contender.putMany(work.keys[batch], values)
      }
    }
    for (index, number) in work.numbers.enumerated() where index % 97 == 0 {
      var value = trial.workload.emptyValue
      Workload.fill(&value, number, version: 0)
      let found = try contender.get(work.keys[index])
      guard found == Bytes.checksum(value) else {
        throw Wrong("a value is wrong")
      }
    }
    try contender.close()
    try trial.remove(place)
    return [result]
  }

  static let delete = Phase("delete", [Row("delete")], work: Work.shuffled(8)) { trial, work in
    guard let contender = try trial.contender() as? any Deletes else { return nil }
    let result = try trial.time(per: work.keys.count) {
      for key in work.keys {
        let wasThere = try contender.delete(key)
        guard wasThere else { throw Wrong("a key is missing") }
      }
    }
    for key in work.keys {
      let found = try contender.get(key)
      guard found == nil else { throw Wrong("a record is left") }
    }
    return [result]
  }
}
