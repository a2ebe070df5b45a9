import KVMap
import TestSupport

/// What each worker does in each history. It follows from the seed.
struct Plan: Sendable {
  let seed: UInt64
  let setting: Setting

  static let keys = 3
  static let operations = 10

  /// A call of a worker, and what it does before.
  struct Step {
    var call: Call
    var isDurable: Bool
    /// Whether it waits a little, to begin together with the calls of others.
    var isTogether: Bool
    /// Done before the call, and no part of the history.
    var chore: Chore?
  }

  /// What makes the store move things.
  enum Chore {
    case checkpoint
    /// Puts or removes bytes that nobody reads.
    case junk(Int)
    /// Removes the keys of an old history.
    case forget
  }

  /// What worker `lane` does in a history.
  func steps(history: Int, lane: Int) -> [Step] {
    var generator = SeededGenerator(seed: seed, history, lane)
    let mayWrite = setting.lanes[lane].mayWrite
    // Half of the histories have no transactions, so that they can be checked key by key.
    var shared = SeededGenerator(seed: seed, history, -1)
    let hasTransactions = shared.chance(50)
    let keys = shared.chance(30) ? 2 : Self.keys
    return (0..<Self.operations).map { index in
      let kind = kind(&generator, mayWrite: mayWrite, hasTransactions: hasTransactions)
      let key = generator.below(keys)
      let other = (key + 1 + generator.below(keys - 1)) % keys
      let value = UInt32(history * 1_000 + lane * 100 + index * 2 + 1)
      return Step(
        call: Call(kind: kind, key: key, other: other, value: value),
        isDurable: generator.chance(4), isTogether: generator.chance(70),
        chore: mayWrite ? chore(&generator) : nil)
    }
  }

  private func kind(
    _ generator: inout SeededGenerator, mayWrite: Bool, hasTransactions: Bool
  ) -> Call.Kind {
    let reads: [Call.Kind] = [.get, .get, .get, .view, .contains]
    let writes: [Call.Kind] = [.put, .put, .put, .putIfAbsent, .putIfPresent, .remove, .remove]
    let transactions: [Call.Kind] = [.readBoth, .writeBoth, .exchange, .move, .giveUp]
    if !mayWrite || generator.chance(45) { return reads[generator.below(reads.count)] }
    if hasTransactions, generator.chance(40) { return transactions[generator.below(transactions.count)] }
    return writes[generator.below(writes.count)]
  }

  private func chore(_ generator: inout SeededGenerator) -> Chore? {
    switch generator.below(100) {
    case 0: .checkpoint
    case 1..<7: .junk(generator.below(100_000))
    case 7..<12: .forget
    default: nil
    }
  }

  /// Each history has keys of its own, so that all are absent at its start.
  static func keyName(_ key: Int, history: Int) -> [UInt8] { bytes("history \(history), key \(key)") }
}
