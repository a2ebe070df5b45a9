import Foundation

/// One contender through all phases once.
struct Trial<C: Contender> {
  private let workload: Workload
  private let directory: String
  private(set) var figures: [Figure: Double] = [:]

  private var path: String { "\(directory)/records" }
  private static var openings: Int { 11 }
  private static var durablePuts: Int { 2_000 }

  init(_ workload: Workload, directory: String) {
    self.workload = workload
    self.directory = directory
  }

  /// A phase's record numbers and keys, made before the clock runs.
  private struct Work {
    let numbers: [Int]
    let keys: [[UInt8]]

    init(_ numbers: [Int], _ workload: Workload) {
      self.numbers = numbers
      keys = numbers.map(workload.key)
    }
  }

  mutating func run() throws {
    let works = (0..<4).map { Work(workload.order($0), workload) }
    let missing = Work((workload.count..<2 * workload.count).map { $0 }, workload)
    // What the contender before left to the disk is not for this one to wait for.
    sync()
    let memoryBefore = ProcessMemory.resident
    let anonymousBefore = ProcessMemory.anonymous
    ProcessMemory.resetPeak()
    var contender = try C(path)
    try put(works[0], 0, &contender, .load)
    if C.hasFile { try measureFile(.lengthLoaded, .allocatedLoaded) }
    try get(works[1], contender)
    try miss(missing, contender)
    try put(works[2], 1, &contender, .overwrite)
    if C.hasFile { try measureFile(.lengthOverwritten, .allocatedOverwritten) }
    try scan(contender)
    figures[.peakMemory] = Double(max(0, ProcessMemory.peak - memoryBefore)) / 1_048_576
    figures[.anonymousMemory] = Double(max(0, ProcessMemory.anonymous - anonymousBefore)) / 1_048_576
    if C.hasFile { try open(&contender, works[1]) }
    try delete(works[3], &contender)
    try contender.close()
    if C.hasFile { try putDurably(works[0]) }
  }

  // MARK: Phases

  private mutating func time(_ figure: Figure, per count: Int, _ body: () throws -> Void) rethrows {
    let clock = ContinuousClock()
    let elapsed = try clock.measure(body)
    figures[figure] = elapsed.nanoseconds / Double(count)
  }

  private mutating func put(
    _ work: Work, _ version: UInt64, _ contender: inout C, _ figure: Figure
  ) throws {
    var value = Workload.emptyValue
    try time(figure, per: work.numbers.count) {
      for index in work.numbers.indices {
        Workload.fill(&value, work.numbers[index], version: version)
        try contender.put(work.keys[index], value)
      }
    }
  }

  private mutating func get(_ work: Work, _ contender: C) throws {
    let right = workload.sum(version: 0)
    var sum: UInt64 = 0
    try time(.getHit, per: work.keys.count) {
      for key in work.keys {
        guard let found = try contender.get(key) else { throw Wrong("\(C.name): a key is missing") }
        sum &+= found
      }
    }
    guard sum == right else { throw Wrong("\(C.name): a value is wrong") }
    guard C.hasGetInPlace else { return }
    sum = 0
    try time(.getInPlace, per: work.keys.count) {
      for key in work.keys {
        guard let found = try contender.getInPlace(key) else { throw Wrong("\(C.name): a key is missing") }
        sum &+= found
      }
    }
    guard sum == right else { throw Wrong("\(C.name): a value is wrong") }
  }

  private mutating func miss(_ work: Work, _ contender: C) throws {
    try time(.getMiss, per: work.keys.count) {
      for key in work.keys where try contender.get(key) != nil {
        throw Wrong("\(C.name): a key is there that was never put")
      }
    }
  }

  private mutating func scan(_ contender: C) throws {
    var found = (count: 0, sum: UInt64(0))
    try time(.scan, per: workload.count) { found = try contender.scan() }
    guard found == (workload.count, workload.sum(version: 1)) else {
      throw Wrong("\(C.name): the scan is wrong")
    }
  }

  private mutating func delete(_ work: Work, _ contender: inout C) throws {
    try time(.delete, per: work.keys.count) {
      for key in work.keys where try !contender.delete(key) { throw Wrong("\(C.name): a key is missing") }
    }
    guard try contender.scan().count == 0 else { throw Wrong("\(C.name): records are left") }
  }

  /// Closed in good order, opened, and one get.
  private mutating func open(_ contender: inout C, _ work: Work) throws {
    var times: [Double] = []
    let clock = ContinuousClock()
    for opening in 0..<Self.openings {
      try contender.close()
      let key = work.keys[opening % work.keys.count]
      let start = clock.now
      contender = try C(path)
      guard try contender.get(key) != nil else { throw Wrong("\(C.name): a key is missing") }
      times.append((clock.now - start).nanoseconds / 1_000)
    }
    figures[.open] = times.median
  }

  /// One by one into a store that holds a tenth of the records.
  private mutating func putDurably(_ work: Work) throws {
    unsafe unlink(path)
    sync()
    var contender = try C(path)
    let preloaded = workload.count / 10
    var value = Workload.emptyValue
    for index in 0..<preloaded { try contender.put(work.keys[index], value) }
    try contender.close()
    contender = try C(path)
    var times: [Double] = []
    let clock = ContinuousClock()
    for index in preloaded..<min(preloaded + Self.durablePuts, work.keys.count) {
      Workload.fill(&value, index, version: 0)
      let start = clock.now
      try contender.putDurably(work.keys[index], value)
      times.append((clock.now - start).nanoseconds / 1_000)
    }
    times.sort()
    figures[.durablePut] = times[times.count / 2]
    figures[.durablePutSlow] = times[times.count * 99 / 100]
    try contender.close()
  }

  private mutating func measureFile(_ length: Figure, _ allocated: Figure) throws {
    let sizes = try fileSizes(path)
    let live = Double(workload.count * (Workload.keyBytes + Workload.valueBytes))
    figures[length] = Double(sizes.length) / live
    figures[allocated] = Double(sizes.allocated) / live
  }
}

extension Duration {
  var nanoseconds: Double { Double(components.seconds) * 1e9 + Double(components.attoseconds) / 1e9 }
}

extension [Double] {
  var median: Double { sorted()[count / 2] }
}
