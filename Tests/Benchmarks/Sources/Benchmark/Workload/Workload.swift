/// Keys, orders and values: the same for all contenders.
struct Workload {
  let count: Int
  let keyBytes: Int
  let valueBytes: Int

  private static let seed: UInt64 = 0x6B76_6D61_70

  /// A random generator for one purpose.
  func generator(_ purpose: UInt64) -> SeededGenerator {
    SeededGenerator(seed: Self.seed &+ purpose &* 0x1234_5678_9ABC_DEF1)
  }

  /// Record numbers in a random order; each purpose has its own.
  func order(_ purpose: UInt64) -> [Int] {
    var generator = generator(purpose)
    var order = Array(0..<count)
    order.shuffle(using: &generator)
    return order
  }

  /// The key of a record. The keys of the numbers from `count` on are never stored.
  func key(_ number: Int) -> [UInt8] {
    var generator = SeededGenerator(seed: Self.seed &+ UInt64(number) &* 2)
    var key = [UInt8](repeating: 0, count: keyBytes)
    for offset in stride(from: 0, through: keyBytes - 8, by: 8) {
      Bytes.store(generator.next(), in: &key, at: offset)
    }
    return key
  }

  var emptyValue: [UInt8] { (0..<valueBytes).map { UInt8(truncatingIfNeeded: $0) } }

  /// Fills `buffer` with the value that a record has in one version.
  @inline(__always)
  static func fill(_ buffer: inout [UInt8], _ number: Int, version: UInt64) {
    let mark = (UInt64(truncatingIfNeeded: number) &+ version << 40) &* 0x9E37_79B9_7F4A_7C15
    Bytes.store(mark, in: &buffer, at: 0)
    Bytes.store(mark &+ 1, in: &buffer, at: (buffer.count - 8) / 2)
    Bytes.store(~mark, in: &buffer, at: buffer.count - 8)
  }
}

/// The keys that a phase goes through, made before the clock runs.
struct Work {
  let numbers: [Int]
  let keys: [[UInt8]]
  /// Which of them are put, in a phase that gets and puts.
  var isPut: [Bool] = []

  init(_ numbers: [Int], _ workload: Workload) {
    self.numbers = numbers
    keys = numbers.map(workload.key)
  }

  static let none: @Sendable (Workload) -> Work = { Work([], $0) }
  /// Keys that are never stored.
  static let absent: @Sendable (Workload) -> Work = { Work(Array($0.count..<2 * $0.count), $0) }

  /// All keys in a random order.
  static func shuffled(_ purpose: UInt64) -> @Sendable (Workload) -> Work {
    { Work($0.order(purpose), $0) }
  }

  /// As many operations as there are records, some records far more often than others; `puts` percent
  /// of them are puts.
  static func zipf(_ purpose: UInt64, puts: Int) -> @Sendable (Workload) -> Work {
    { workload in
      var generator = workload.generator(purpose)
      let ranks = Zipf(count: workload.count)
      let order = workload.order(purpose)
      var work = Work((0..<workload.count).map { _ in order[ranks.next(&generator)] }, workload)
      work.isPut = work.numbers.map { _ in generator.chance(puts) }
      return work
    }
  }
}
