import KVMap
import TestSupport
import Testing

/// Random operations of one kind.
struct Workload: CustomTestStringConvertible, Sendable {
  let name: String
  let steps: Int
  /// One step in so many closes and reopens all stores.
  let reopenInterval: Int
  let key: @Sendable (inout SeededGenerator) -> [UInt8]
  let valueLength: @Sendable (inout SeededGenerator) -> Int

  var testDescription: String { name }

  static let all = [collisions, everyByte, everyLength, largeValues, manyKeys]

  /// Keys of 0 to 4 letters out of three, each changed again and again.
  static let collisions = Workload(name: "few keys", steps: 6_000, reopenInterval: 150) { generator in
    (0..<generator.number(0...4)).map { _ in UInt8(ascii: "a") + UInt8(generator.number(0...2)) }
  } valueLength: {
    $0.number(0...100)
  }

  /// Short keys of all bytes, also zero bytes and high bits.
  static let everyByte = Workload(name: "keys of all bytes", steps: 6_000, reopenInterval: 500) { generator in
    generator.bytes(generator.number(0...2))
  } valueLength: {
    $0.chance(20) ? 0 : $0.number(0...600)
  }

  /// Keys of every length up to the longest. Each length has one key, so that it comes again.
  static let everyLength = Workload(name: "keys of all lengths", steps: 3_000, reopenInterval: 100) {
    generator in
    let length =
      switch generator.number(0...9) {
      case 0: 65_536 - generator.number(0...2)
      case 1: generator.number(4_080...4_100)
      default: generator.number(0...300)
      }
    let first = UInt8(generator.number(0...1))
    return [UInt8](repeating: UInt8(truncatingIfNeeded: length) &+ first, count: length)
  } valueLength: {
    $0.number(0...300)
  }

  /// Values around the lengths at which stores treat them differently.
  static let largeValues = Workload(name: "large values", steps: 1_500, reopenInterval: 60) { generator in
    [UInt8(generator.number(0...40))]
  } valueLength: { generator in
    switch generator.number(0...5) {
    case 0: generator.number(65_530...65_544)
    case 1: generator.number(131_070...131_074)
    case 2: generator.number(0...10)
    default: generator.number(0...200 << 10)
    }
  }

  /// So many keys that the index grows and directory pages are shared.
  static let manyKeys = Workload(name: "many keys", steps: 20_000, reopenInterval: 4_000) { generator in
    let number = generator.number(0...9_999)
    return [0, 0, UInt8(number >> 8), UInt8(truncatingIfNeeded: number)]
  } valueLength: {
    $0.number(0...40)
  }

  /// Where values are cut from: 256 KiB of random bytes.
  private static let bytes: [UInt8] = {
    var generator = SeededGenerator(seed: 0)
    return generator.bytes(256 << 10)
  }()

  private func value(_ generator: inout SeededGenerator) -> [UInt8] {
    let length = valueLength(&generator)
    let start = generator.number(0...Self.bytes.count - length)
    return Array(Self.bytes[start..<start + length])
  }

  func operation(_ generator: inout SeededGenerator) -> Operation {
    if generator.number(1...reopenInterval) == 1 {
      let durability: [Store.Durability] = [
        .none, .none, .none, .none, .onCommit, .interval(milliseconds: 2),
      ]
      return .reopen(exclusive: generator.chance(30), durability: durability[generator.number(0...5)])
    }
    switch generator.number(0...199) {
    case 0...3: return .count
    case 4: return .sync
    case 5...12:
      let steps = (0..<generator.number(0...12)).map { _ in simpleOperation(&generator) }
      return .transaction(steps, commits: generator.chance(70))
    default: return simpleOperation(&generator)
    }
  }

  private func simpleOperation(_ generator: inout SeededGenerator) -> Operation {
    let key = key(&generator)
    switch generator.number(0...9) {
    case 0...2: return .put(key: key, value: value(&generator), .always)
    case 3: return .put(key: key, value: value(&generator), .absent)
    case 4: return .put(key: key, value: value(&generator), .present)
    case 5...6: return .remove(key: key)
    case 7: return .contains(key: key)
    default: return .get(key: key)
    }
  }
}
