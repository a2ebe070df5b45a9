extension Phase {
  static let getPresent = Phase("get-present", [Row("get, present")], work: Work.shuffled(1)) { trial, work in
    let contender = try trial.contender()
    return [try trial.get(work) { try contender.get($0) }]
  }

  static let getInPlace = Phase("get-in-place", [Row("get in place")], work: Work.shuffled(2)) {
    trial, work in
    guard let contender = try trial.contender() as? any ReadsInPlace else { return nil }
    return [try trial.get(work) { try contender.getInPlace($0) }]
  }

  private static let manyKeys = 64

  static let getMany = Phase("get-many", [Row("get \(manyKeys) at once, each")], work: Work.shuffled(3)) {
    trial, work in
    guard let contender = try trial.contender() as? any ReadsMany else { return nil }
    let batches = stride(from: 0, to: work.keys.count, by: manyKeys).map {
      Array(work.keys[$0..<min($0 + manyKeys, work.keys.count)])
    }
    var tally = Tally()
    let result = try trial.time(per: work.keys.count) {
      for keys in batches { try contender.getMany(keys, &tally) }
    }
    try trial.check(tally, trial.contents.records)
    return [result]
  }

  static let getAbsent = Phase("get-absent", [Row("get, absent")], work: Work.absent) { trial, work in
    let contender = try trial.contender()
    return [
      try trial.time(per: work.keys.count) {
        for key in work.keys {
          let found = try contender.get(key)
          guard found == nil else { throw Wrong("a key is there that was never put") }
        }
      }
    ]
  }
}
