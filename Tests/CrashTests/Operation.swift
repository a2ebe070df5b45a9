@testable import KVMap

/// A change of a store that can be repeated.
enum Operation {
  /// `value` is the number of a value in the catalogue.
  case put(key: Int, value: Int32, condition: Store.PutCondition, expiry: UInt64, Store.Durability)
  case remove(key: Int, Store.Durability)
  /// A value of −1 removes the key.
  case transaction([(key: Int, value: Int32)], isAbandoned: Bool, Store.Durability)

  var durability: Store.Durability {
    switch self {
    case .put(_, _, _, _, let durability), .remove(_, let durability),
      .transaction(_, _, let durability):
      durability
    }
  }

  /// The contents after it, if they were `before`; nil if it makes no commit.
  func result(_ before: Contents, at time: UInt64) -> Contents? {
    var contents = before
    switch self {
    case .put(let key, let value, let condition, let expiry, _):
      if condition != .always, before.isLive(key, at: time) != (condition == .present) {
        return nil
      }
      contents[key] = Contents.Record(value: value, expiry: expiry)
    case .remove(let key, _):
      if before[key] == nil { return nil }
      contents[key] = nil
    case .transaction(let changes, let isAbandoned, _):
      if isAbandoned { return nil }
      // A transaction that changes nothing makes no commit, and nothing durable.
      var isChange = false
      for (key, value) in changes {
        isChange = isChange || value >= 0 || contents.isLive(key, at: time)
        if value >= 0 {
          contents[key] = Contents.Record(value: value, expiry: .max)
        } else if contents.isLive(key, at: time) {
          contents[key] = nil
        }
      }
      if !isChange { return nil }
    }
    return contents
  }

  private struct Abandoned: Error {}

  func run(_ store: Store, _ catalogue: Catalogue) throws {
    switch self {
    case .put(let key, let value, let condition, let expiry, let durability):
      try store.put(
        catalogue.values[Int(value)], forKey: catalogue.keys[key], if: condition,
        expires: expiry == .max ? .never : .at(millisecondsSince1970: expiry),
        durability: durability)
    case .remove(let key, let durability):
      try store.remove(catalogue.keys[key], durability: durability)
    case .transaction(let changes, let isAbandoned, let durability):
      do {
        try store.transaction(durability: durability) { transaction in
          for (key, value) in changes {
            if value >= 0 {
              try transaction.put(catalogue.values[Int(value)], forKey: catalogue.keys[key])
            } else {
              try transaction.remove(catalogue.keys[key])
            }
          }
          if isAbandoned { throw Abandoned() }
        }
      } catch is Abandoned {}
    }
  }
}

/// Something that must not happen has happened.
struct Violation: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}
