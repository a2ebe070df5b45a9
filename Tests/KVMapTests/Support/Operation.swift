import KVMap
import TestSupport

/// One change of a store. It follows from a seed and its number, so that parent and child, or a
/// run and its repetition, agree on it.
enum Operation: Equatable {
  case put([UInt8], [UInt8], Store.PutCondition)
  case remove([UInt8])
  /// Keys with their new values, nil to remove. Nothing is changed if `aborts`.
  case transaction([Change], aborts: Bool)

  struct Change: Equatable {
    var key: [UInt8]
    var value: [UInt8]?
  }

  typealias Contents = [[UInt8]: [UInt8]]

  /// What an aborted transaction throws.
  struct Abort: Error {}

  /// How the operations of a run are distributed.
  struct Mix {
    var keys = 200
    /// One value in this many is large, up to `largestValue`.
    var largeEvery = 25
    var largestValue = 300 << 10
    var longestTransaction = 12
    /// What each key begins with. Runs with different prefixes have different keys.
    var prefix: [UInt8] = []
  }

  init(seed: UInt64, number: Int, mix: Mix = Mix()) {
    var generator = SeededGenerator(seed: seed &+ UInt64(number) &* 0x1_0000_0001)
    _ = generator.next()
    switch generator.below(100) {
    case 0..<50:
      let condition: Store.PutCondition =
        generator.chance(70) ? .always : (generator.chance(50) ? .absent : .present)
      self = .put(Self.key(&generator, mix), Self.value(&generator, mix, number), condition)
    case 50..<75:
      self = .remove(Self.key(&generator, mix))
    default:
      let changes = (0..<1 + generator.below(mix.longestTransaction)).map { _ in
        Change(
          key: Self.key(&generator, mix),
          value: generator.chance(65) ? Self.value(&generator, mix, number) : nil)
      }
      self = .transaction(changes, aborts: generator.chance(25))
    }
  }

  /// The keys of a run: most are short, some of the greatest length, one is empty.
  static func key(_ generator: inout SeededGenerator, _ mix: Mix) -> [UInt8] {
    let number = generator.below(mix.keys)
    let key =
      switch number {
      case 0: []
      case 1: [UInt8](repeating: 7, count: 65_536)
      case 2: [UInt8](repeating: 7, count: 65_535)
      case 3: [0]
      case 4: [0, 0]
      default: patterned(1 + number % 40, UInt64(number)) + [UInt8(truncatingIfNeeded: number)]
      } as [UInt8]
    return Array((mix.prefix + key).prefix(65_536))
  }

  private static func value(_ generator: inout SeededGenerator, _ mix: Mix, _ number: Int) -> [UInt8] {
    let stamp = UInt64(number) << 16 | UInt64(generator.below(65_536))
    guard generator.below(mix.largeEvery) == 0 else { return patterned(generator.below(300), stamp) }
    // Sizes around the largest value within the log, around two units, and any other size.
    let sizes = [65_535, 65_536, 65_537, 131_072, 131_073, generator.below(mix.largestValue)]
    return patterned(min(sizes[generator.below(sizes.count)], mix.largestValue), stamp)
  }

  // MARK: On a dictionary

  /// Returns what the store returns: whether the operation changed something.
  @discardableResult
  func apply(to contents: inout Contents) -> Bool {
    switch self {
    case .put(let key, let value, let condition):
      if condition == .absent, contents[key] != nil { return false }
      if condition == .present, contents[key] == nil { return false }
      contents[key] = value
      return true
    case .remove(let key):
      return contents.removeValue(forKey: key) != nil
    case .transaction(let changes, let aborts):
      if aborts { return false }
      for change in changes { contents[change.key] = change.value }
      return true
    }
  }

  func applied(to contents: Contents) -> Contents {
    var copy = contents
    apply(to: &copy)
    return copy
  }

  // MARK: On a store

  /// Does the operation. `look` is called inside transactions, after each change.
  @discardableResult
  func apply(
    to store: Store, look: (borrowing Store.Transaction, ArraySlice<Change>) throws -> Void = { _, _ in }
  ) throws -> Bool {
    switch self {
    case .put(let key, let value, let condition):
      return try store.put(value, forKey: key, if: condition)
    case .remove(let key):
      return try store.remove(key)
    case .transaction(let changes, let aborts):
      do {
        try store.transaction { transaction in
          for (index, change) in changes.enumerated() {
            if let value = change.value {
              try transaction.put(value, forKey: change.key)
            } else {
              try transaction.remove(change.key)
            }
            try look(transaction, changes[...index])
          }
          if aborts { throw Abort() }
        }
      } catch is Abort {
        return false
      }
      return true
    }
  }
}
