import TestSupport

/// Changes made one after the other until the process is killed. Each follows from a seed and
/// its number.
struct CrashScript {
  typealias Contents = [[UInt8]: [UInt8]]

  let seed: UInt64

  enum Change {
    case put([UInt8], [UInt8])
    case remove([UInt8])

    var key: [UInt8] {
      switch self {
      case .put(let key, _), .remove(let key): key
      }
    }

    func apply(to contents: inout Contents) {
      switch self {
      case .put(let key, let value): contents[key] = value
      case .remove(let key): contents[key] = nil
      }
    }
  }

  /// What the file holds before them.
  static let initial: Contents = {
    var generator = SeededGenerator(seed: 1)
    return Contents(
      uniqueKeysWithValues: (0..<300).map { (key($0), generator.bytes(generator.number(0...200))) })
  }()

  private static func key(_ number: Int) -> [UInt8] { Array("key \(number)".utf8) }

  /// Overwrites, removals, and new keys, so that tables grow.
  subscript(number: Int) -> Change {
    var generator = SeededGenerator(seed: seed &+ UInt64(number) &* 0x1_0000_0001)
    _ = generator.next()
    let kind = generator.number(0...99)
    if kind < 25 { return .remove(Self.key(generator.number(0...399))) }
    let key = kind < 40 ? Self.key(1_000 + number) : Self.key(generator.number(0...399))
    let isLong = generator.chance(5)
    return .put(key, generator.bytes(isLong ? generator.number(3_000...9_000) : generator.number(0...300)))
  }

  /// For each key that was ever changed, the values it may have when `returned` changes have
  /// returned: the next one may have happened or not.
  func allowed(after returned: Int) -> [[UInt8]: [[UInt8]?]] {
    var contents = Self.initial
    var keys = Set(contents.keys)
    for number in 0..<returned {
      self[number].apply(to: &contents)
      keys.insert(self[number].key)
    }
    var after = contents
    self[returned].apply(to: &after)
    keys.insert(self[returned].key)
    return Dictionary(uniqueKeysWithValues: keys.map { ($0, [contents[$0], after[$0]]) })
  }
}
