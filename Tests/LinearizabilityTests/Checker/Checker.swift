/// Decides whether a history is linearizable: whether the operations could have happened
/// one after the other, each at an instant between its call and its return, with the
/// answers they gave.
///
/// The search is that of Wing and Gong, who try what may come next one after the other,
/// with the memory that Lowe gave it: a set of operations done, with the contents they
/// lead to, is looked at once. ("Testing for linearizability", G. Lowe, 2017.)
///
/// Three things are the store's own:
///
/// - A transaction publishes its changes one by one, in their order. Who reads without
///   the turn may see the first before the second; who has the turn, sees all or none.
///   So a transaction of two changes happens in two steps, between which there is room
///   for reads alone.
/// - An operation whose process was killed may have happened or not. Whoever has the
///   turn next after the death settles it: if it happened, it did before any operation
///   that takes the turn and began after the process was gone.
/// - Where no operation touches two keys and nobody was killed, a history is linearizable
///   if it is for each key alone (Herlihy and Wing), which is decided faster.
struct Checker {
  private let operations: [Operation]
  private let mustHappen: UInt128
  private let hasDeaths: Bool
  private var seen: Set<Place> = []
  private var order: [Int] = []

  /// The most operations a history may have.
  static let mostOperations = 128

  /// Where a search has come to.
  private struct Place: Hashable {
    var done: UInt128 = 0
    var contents = Contents()
    var half: Half?
  }

  /// A transaction of which one change is seen, and the change that is not yet.
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

  /// An order in which all of it could have happened.
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

  /// Whether all that is not done can be done from here on. Notes the order, last first.
  private mutating func search(_ place: Place) -> Bool {
    if place.done & mustHappen == mustHappen { return true }
    guard seen.insert(place).inserted else { return false }
    for index in candidates(place) {
      let operation = operations[index]
      var next = place
      if let half = place.half {
        // The turn is the transaction's until its second change is seen.
        if index != half.index, operation.call.hasTurn { continue }
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

  /// What may happen next: what began before anything that is not done had returned.
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
      let latest = latestTurn(place)
      found.removeAll { index in
        guard index != place.half?.index, let gone = operations[index].killed else { return false }
        return latest > gone
      }
    }
    return found
  }

  /// When the latest of those that are done and had the turn began.
  private func latestTurn(_ place: Place) -> UInt64 {
    operations.indices.reduce(0) { latest, index in
      guard place.done & UInt128(1) << UInt128(index) != 0, operations[index].call.hasTurn else {
        return latest
      }
      return max(latest, operations[index].invoked)
    }
  }
}
