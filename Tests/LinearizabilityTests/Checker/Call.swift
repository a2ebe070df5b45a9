/// One call on a store as the checker sees it: which call, on which of the few keys of a
/// history, and the number of the value that it writes.
///
/// Every value stands for a number (see `NumberedValue`); 0 is "absent".
struct Call: Hashable, Sendable {
  enum Kind: UInt64, CaseIterable, Sendable {
    /// Reads `key`, without the write lock.
    case get, view, contains
    /// Changes `key`.
    case put, putIfAbsent, putIfPresent, remove
    /// Transactions that read both keys, and then: do nothing more; put `value` and the next
    /// number; exchange the values; move the value of `key` to `other`; put both and give up.
    case readBoth, writeBoth, exchange, move, giveUp
  }

  var kind: Kind
  var key: Int
  /// The second key of a transaction.
  var other = 0
  /// The value that is put. A transaction that puts two values puts this and the next number.
  var value: UInt32 = 0

  var isTransaction: Bool {
    switch kind {
    case .readBoth, .writeBoth, .exchange, .move, .giveUp: true
    default: false
    }
  }

  /// Whether it holds the write lock while it happens, whatever its outcome.
  var hasWriteLock: Bool {
    switch kind {
    case .get, .view, .contains: false
    default: true
    }
  }
}

/// What the keys of a history hold at one moment; 0 is "absent".
typealias Contents = SIMD4<UInt32>

/// What a call returned: a value or whether it changed something, and what a transaction read
/// for its second key.
struct Answer: Hashable, Sendable {
  var first: UInt32
  var second: UInt32 = 0
}

/// What a call does at one instant: the specification of the store.
struct Outcome {
  var answer: Answer
  /// In the order in which a commit publishes them.
  var changes: [(key: Int, value: UInt32)] = []
}

extension Call {
  func outcome(on contents: Contents) -> Outcome {
    let current = contents[key]
    switch kind {
    case .get, .view: return Outcome(answer: Answer(first: current))
    case .contains: return Outcome(answer: Answer(first: current == 0 ? 0 : 1))
    case .put: return change(to: value, if: true)
    case .putIfAbsent: return change(to: value, if: current == 0)
    case .putIfPresent: return change(to: value, if: current != 0)
    case .remove: return change(to: 0, if: current != 0)
    case .readBoth, .giveUp: return Outcome(answer: both(contents))
    case .writeBoth:
      return Outcome(answer: both(contents), changes: [(key, value), (other, value &+ 1)])
    case .exchange:
      // Removing an absent key changes nothing.
      let wanted: [(key: Int, value: UInt32)] = [(key, contents[other]), (other, current)]
      let changes = wanted.filter { $0.value != 0 || contents[$0.key] != 0 }
      return Outcome(answer: both(contents), changes: changes)
    case .move:
      return Outcome(
        answer: both(contents), changes: current == 0 ? [] : [(key, UInt32(0)), (other, current)])
    }
  }

  private func both(_ contents: Contents) -> Answer {
    Answer(first: contents[key], second: contents[other])
  }

  private func change(to value: UInt32, if condition: Bool) -> Outcome {
    Outcome(answer: Answer(first: condition ? 1 : 0), changes: condition ? [(key, value)] : [])
  }
}

extension Call: CustomStringConvertible {
  var description: String {
    let names = ["a", "b", "c", "d"]
    let (first, second) = (names[key], names[other])
    switch kind {
    case .get, .view, .contains, .remove: return "\(kind)(\(first))"
    case .put, .putIfAbsent, .putIfPresent: return "\(kind)(\(first), \(value))"
    case .readBoth, .exchange, .move: return "\(kind)(\(first), \(second))"
    case .writeBoth, .giveUp: return "\(kind)(\(first): \(value), \(second): \(value + 1))"
    }
  }
}
