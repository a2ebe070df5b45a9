extension Phase {
  static let create = Phase("create", [Row("create an empty store", .microseconds)], needsRecords: false) {
    trial, _ in
    var times: [Double] = []
    let clock = ContinuousClock()
    for _ in 0..<Trial.openings {
      let place = try trial.newPlace()
      let start = clock.now
      guard let contender = try trial.makePersistent(place) else { return nil }
      times.append((clock.now - start).microseconds)
      try contender.close()
      try trial.remove(place)
    }
    return [times.median]
  }

  static let openForWriting = opening("open", "open and get one", .write)
  static let openForReading = opening("open-for-reading", "open for reading and get one", .read)

  /// Opens a store that was closed properly, and gets one record.
  private static func opening(_ name: String, _ title: String, _ access: Place.Access) -> Phase {
    Phase(name, [Row(title, .microseconds)], work: Work.shuffled(1)) { trial, work in
      guard trial.type is any Persistent.Type else { return nil }
      try trial.close()
      var place = trial.place
      place.access = access
      var times: [Double] = []
      var value = trial.workload.emptyValue
      let clock = ContinuousClock()
      for opening in 0..<Trial.openings {
        let index = opening % work.keys.count
        let start = clock.now
        guard let contender = try trial.makePersistent(place) else { return nil }
        let found = try contender.get(work.keys[index])
        times.append((clock.now - start).microseconds)
        guard found == trial.contents.checksum(work.numbers[index], &value) else {
          throw Wrong("a value is wrong")
        }
        try contender.close()
      }
      return [times.median]
    }
  }

  static let memory = Phase(
    "memory", [Row("memory at most", .mebibytes), Row("memory without the file", .mebibytes)]
  ) { trial, _ in
    let before = trial.memoryBefore
    return [ProcessMemory.peak - before.resident, ProcessMemory.anonymous - before.anonymous].map {
      Double(max(0, $0)) / 1_048_576
    }
  }
}
