import KVMap
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A thread that makes the calls of one lane in one history after the other.
struct Worker {
  let plan: Plan
  let store: Store
  let board: Board
  let lane: Int
  let activity: Activity

  /// Whether the thread is in a call, for the observer of its stores into the file.
  final class Activity {
    var isInCall = false
  }

  /// Goes on where the lane is.
  func run() throws {
    var first = board.nextCall(lane)
    while board[done: lane] < board.histories {
      let history = board[done: lane]
      guard waitForOthers(history) else { return }
      let steps = plan.steps(history: history, lane: lane)
      for index in first..<steps.count {
        let step = steps[index]
        if let chore = step.chore { try perform(chore, history) }
        if step.isTogether { waitForOthers(history, index) }
        board.invoke(step.call, history, lane, index)
        activity.isInCall = true
        let answer = try perform(step, history)
        activity.isInCall = false
        board.complete(answer, history, lane, index)
      }
      first = 0
      board[done: lane] = history + 1
    }
  }

  /// Waits until all have come to this history. False if one has given up.
  private func waitForOthers(_ history: Int) -> Bool {
    while !(0..<board.lanes).allSatisfy({ board[done: $0] >= history }) {
      if board.hasFailed { return false }
      sched_yield()
    }
    return true
  }

  /// Waits a little until the others have come to the same call, so that more calls overlap.
  private func waitForOthers(_ history: Int, _ index: Int) {
    board[call: lane] = history * Plan.operations + index
    for _ in 0..<20 {
      if (0..<board.lanes).allSatisfy({ board[call: $0] >= history * Plan.operations + index }) { return }
      sched_yield()
    }
  }

  // MARK: Calls

  private func perform(_ step: Plan.Step, _ history: Int) throws -> Answer {
    let call = step.call
    let key = Plan.keyName(call.key, history: history)
    let durability: Store.Durability? = step.isDurable ? .onCommit : nil
    let value = NumberedValue.bytes(call.value)
    switch call.kind {
    case .get: return Answer(first: NumberedValue.number(try store.get(key)))
    case .view: return Answer(first: NumberedValue.number(try store.withValue(forKey: key) { $0.array }))
    case .contains: return answer(try store.contains(key))
    case .put: return answer(try store.put(value, forKey: key, durability: durability))
    case .putIfAbsent:
      return answer(try store.put(value, forKey: key, if: .absent, durability: durability))
    case .putIfPresent:
      return answer(try store.put(value, forKey: key, if: .present, durability: durability))
    case .remove: return answer(try store.remove(key, durability: durability))
    case .readBoth, .writeBoth, .exchange, .move, .giveUp:
      return try transact(call, [key, Plan.keyName(call.other, history: history)], durability)
    }
  }

  private func answer(_ happened: Bool) -> Answer { Answer(first: happened ? 1 : 0) }

  private struct GivenUp: Error {}

  private func transact(_ call: Call, _ keys: [[UInt8]], _ durability: Store.Durability?) throws -> Answer {
    var answer = Answer(first: 0)
    do {
      try store.transaction(durability: durability) { transaction in
        let values = (try transaction.get(keys[0]), try transaction.get(keys[1]))
        answer = Answer(first: NumberedValue.number(values.0), second: NumberedValue.number(values.1))
        switch call.kind {
        case .writeBoth, .giveUp:
          try change(keys[0], to: NumberedValue.bytes(call.value), transaction)
          try change(keys[1], to: NumberedValue.bytes(call.value + 1), transaction)
          if call.kind == .giveUp { throw GivenUp() }
        case .exchange:
          try change(keys[0], to: values.1, transaction)
          try change(keys[1], to: values.0, transaction)
        case .move:
          guard let moved = values.0 else { break }
          try change(keys[0], to: nil, transaction)
          try change(keys[1], to: moved, transaction)
        default: break
        }
      }
    } catch is GivenUp {
    }
    return answer
  }

  private func change(
    _ key: [UInt8], to value: [UInt8]?, _ transaction: borrowing Store.Transaction
  ) throws {
    if let value { try transaction.put(value, forKey: key) } else { try transaction.remove(key) }
    guard try transaction.get(key) == value else {
      throw Failure("a transaction does not see its own change")
    }
  }

  // MARK: Chores

  private func perform(_ chore: Plan.Chore, _ history: Int) throws {
    switch chore {
    case .checkpoint: try store.checkpoint()
    case .junk(let size):
      let key = "junk \(lane) \(size % 7)"
      if size % 3 == 0 {
        try store.remove(key)
      } else {
        try store.put([UInt8](repeating: 1, count: size), forKey: key)
      }
    case .forget:
      // All workers have begun a later history.
      guard history >= 2 else { return }
      for key in 0..<Plan.keys { try store.remove(Plan.keyName(key, history: history - 2)) }
    }
  }
}
