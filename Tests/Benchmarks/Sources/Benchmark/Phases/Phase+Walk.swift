extension Phase {
  static let scan = Phase("scan", [Row("scan, each")]) { trial, _ in
    guard let contender = try trial.contender() as? any Scans else { return nil }
    return [try trial.walk(trial.contents.records) { try contender.scan() }]
  }

  static let walkKeys = Phase("walk-keys", [Row("cursor, keys alone, each")]) { trial, _ in
    guard let contender = try trial.contender() as? any Walks else { return nil }
    return [try trial.walk(trial.contents.keys) { try contender.walkKeys() }]
  }

  static let walk = Phase("walk", [Row("cursor, keys and values, each")]) { trial, _ in
    guard let contender = try trial.contender() as? any Walks else { return nil }
    return [try trial.walk(trial.contents.records) { try contender.walk() }]
  }
}

extension Trial {
  fileprivate func walk(_ right: Tally, _ walk: () throws -> Tally) throws -> Double {
    var tally = Tally()
    let result = try time(per: workload.count) { tally = try walk() }
    try check(tally, right)
    return result
  }
}
