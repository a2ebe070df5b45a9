import KVMap

/// A change of the stores, or a question to them.
enum Operation: Sendable {
  case put(key: [UInt8], value: [UInt8], Store.PutCondition)
  case remove(key: [UInt8])
  case get(key: [UInt8])
  case contains(key: [UInt8])
  case count
  /// Changes and questions that become one commit, or are all undone.
  case transaction([Operation], commits: Bool)
  case sync
  case reopen(exclusive: Bool, durability: Store.Durability)
}

/// What an operation answers.
enum Answer: Equatable, Sendable, CustomStringConvertible {
  case done
  case flag(Bool)
  case value([UInt8]?)
  case number(Int)
  case several([Answer])

  var description: String {
    switch self {
    case .done: "done"
    case .flag(let flag): "\(flag)"
    case .value(let value): show(value)
    case .number(let number): "\(number)"
    case .several(let answers): "\(answers)"
    }
  }
}

extension Operation: CustomStringConvertible {
  var description: String {
    switch self {
    case .put(let key, let value, let condition): "put \(show(key)) = \(show(value)), \(condition)"
    case .remove(let key): "remove \(show(key))"
    case .get(let key): "get \(show(key))"
    case .contains(let key): "contains \(show(key))"
    case .count: "count"
    case .transaction(let steps, let commits): "transaction \(steps), \(commits ? "committed" : "undone")"
    case .sync: "sync"
    case .reopen(let exclusive, let durability): "reopen, exclusive: \(exclusive), durability: \(durability)"
    }
  }
}
