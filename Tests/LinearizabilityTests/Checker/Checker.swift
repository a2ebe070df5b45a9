/// Decides whether a history is linearizable: whether the operations could have happened one
/// after the other, each at an instant between its call and its return, with their answers.
///
/// The search is that of Wing and Gong: it tries every operation that may happen next. As in
/// Lowe's version, each set of done operations with the resulting contents is searched once.
/// ("Testing for linearizability", G. Lowe, 2017.)
///
/// Three rules are particular to the store:
///
/// - A transaction publishes its changes one by one, in their order. A reader without the write
///   lock may see the first before the second; a call with the write lock sees all or none. So
///   a transaction of two changes happens in two steps, and only reads may come between them.
/// - An operation whose process was killed may have happened or not. The next call with the
///   write lock decides that: if the operation happened, it did so before every operation that
///   takes the write lock and began after the process was gone.
/// - If no operation uses two keys and no process was killed, a history is linearizable if it
///   is so for each key alone (Herlihy and Wing). Deciding that is faster.
struct Checker {
  private let operations: [Operation]
  private let mustHappen: UInt128
  private let hasDeaths: Bool
  private var seen: Set<Place> = []
  private var order: [Int] = []

  /// The most operations a history may have.
  static let mostOperations = 128

  /// A state of the search.
  private struct Place: Hashable {
    var done: UInt128 = 0
    var contents = Contents()
    var half: Half?
  }

  /// A transaction whose first change is published, and its second change.
  private struct Half: Hashable {
    var index: Int
    var key: Int
    var value: UInt32
  }

  /// Whether the history is linearizable.
  static func accepts(_ history: History) -> Bool {
    let operations = history.operations
    if operations.contains(where: { $0.call.isTransaction || $0.killed != nil }) {
      return linearization(of: operations) != nil
    }
    return Dictionary(grouping: operations) { $0.call.key }.values.allSatisfy { linearization(of: $0) != nil }
  }

  /// An order in which the operations could have happened.
  static func linearization(of operations: [Operation]) -> [Operation]? {
    var checker = Checker(operations)
    guard checker.search(Place()) else { return nil }
    return checker.order.reversed().map { checker.operations[$0] }
  }

  private init(_ all: [Operation]) {
    precondition(all.count <= Self.mostOperations, "a history of \(all.count) operations is too long")
    let sorted = all.sorted { $0.invoked < $1.invoked }
    operations = sorted
    mustHappen = sorted.indices.reduce(0) {
      sorted[$1].returned == nil ? $0 : $0 | UInt128(1) << UInt128($1)
    }
    hasDeaths = sorted.contains { $0.killed != nil }
  }

  /// Whether all other operations can follow. Notes the order, beginning with the last.
  private mutating func search(_ place: Place) -> Bool {
    if place.done & mustHappen == mustHappen { return true }
    guard seen.insert(place).inserted else { return false }
    for index in candidates(place) {
      let operation = operations[index]
      var next = place
      if let half = place.half {
        // The transaction holds the write lock until its second change is published.
        if index != half.index, operation.call.hasWriteLock { continue }
        if index == half.index {
          next.contents[half.key] = half.value
          next.half = nil
          if finish(index, next) { return true }
          continue
        }
      }
      let outcome = operation.call.outcome(on: place.contents)
      if let answer = operation.answer, answer != outcome.answer { continue }
      if let first = outcome.changes.first { next.contents[first.key] = first.value }
      if outcome.changes.count == 2 {
        next.half = Half(index: index, key: outcome.changes[1].key, value: outcome.changes[1].value)
        if search(next) { return true }
      } else if finish(index, next) {
        return true
      }
    }
    return false
  }

  private mutating func finish(_ index: Int, _ place: Place) -> Bool {
    var next = place
    next.done |= UInt128(1) << UInt128(index)
    guard search(next) else { return false }
    order.append(index)
    return true
  }

  /// The operations that may happen next: those that began before any operation returned that is
  /// not done.
  private func candidates(_ place: Place) -> [Int] {
    var found: [Int] = []
    var firstReturn = UInt64.max
    for index in operations.indices where place.done & UInt128(1) << UInt128(index) == 0 {
      let operation = operations[index]
      if operation.invoked > firstReturn { break }
      found.append(index)
      firstReturn = min(firstReturn, operation.returned ?? .max)
    }
    found.removeAll { operations[$0].invoked > firstReturn }
    if hasDeaths {
      let latest = latestWithWriteLock(place)
      found.removeAll { index in
        guard index != place.half?.index, let gone = operations[index].killed else { return false }
        return latest > gone
      }
    }
    return found
  }

  /// When the last of the done operations with the write lock began.
  private func latestWithWriteLock(_ place: Place) -> UInt64 {
    operations.indices.reduce(0) { latest, index in
      guard place.done & UInt128(1) << UInt128(index) != 0, operations[index].call.hasWriteLock else {
        return latest
      }
      return max(latest, operations[index].invoked)
    }
  }
}
