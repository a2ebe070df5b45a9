import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// What each of two processes that share a store does: overwrites, removals, transactions,
/// large values, keys that expire, and whole compactions. All of it follows from seed and
/// prefix, so that the test knows the outcome.
struct Stirring {
  let seed: UInt64
  let prefix: String
  let steps: Int

  /// A key whose value only rises, and which is never absent once it is there.
  var counter: [UInt8] { bytes("\(prefix) counter") }

  private var mix: Operation.Mix {
    var mix = KillTests.mix
    mix.keys = 120
    mix.prefix = bytes(prefix)
    return mix
  }

  private func expiring(_ number: Int) -> [UInt8] { bytes("\(prefix) expiring \(number % 40)") }

  func run(on store: Store) throws {
    for number in 0..<steps {
      try Operation(seed: seed, number: number, mix: mix).apply(to: store)
      switch number % 10 {
      case 1:
        try store.put(
          patterned(2_000, UInt64(number)), forKey: expiring(number), expires: .at(millisecondsSince1970: 1))
      case 3, 6: try store.put("\(number)", forKey: counter)
      case 9: try store.put(patterned(30_000, UInt64(number)), forKey: bytes("\(prefix) filler"))
      default: break
      }
      if number % 150 == 149 { try store.compact() }
    }
  }

  func run(on contents: inout Operation.Contents) {
    for number in 0..<steps {
      Operation(seed: seed, number: number, mix: mix).apply(to: &contents)
      switch number % 10 {
      case 3, 6: contents[counter] = bytes("\(number)")
      case 9: contents[bytes("\(prefix) filler")] = patterned(30_000, UInt64(number))
      default: break
      }
    }
  }
}

@Suite(.timeLimit(.minutes(5)))
struct TwoCompactorsTests {
  /// Two processes change and compact one store while a third one reads: nothing is lost,
  /// goes back or is seen twice.
  @Test func bothWriteAndCompact() throws {
    let seed = testSeed("bothWriteAndCompact")
    let scratch = try Scratch()
    let steps = 1_200 * testScale
    let stirrings = ["a", "b"].enumerated().map {
      Stirring(seed: seed &+ UInt64($0.offset), prefix: $0.element, steps: steps)
    }
    let host = try scratch.store()
    for stirring in stirrings { try host.put("0", forKey: stirring.counter) }
    let children = try stirrings.map {
      try ChildProcess(.stir, [scratch.path().string, "\($0.seed)", $0.prefix, "\(steps)"])
    }
    let reader = try scratch.store { $0.access = .readOnly }
    var seen = [0, 0]
    var reads = 0
    while !children.allSatisfy({ $0.hasNews(within: 0) }) {
      for (index, stirring) in stirrings.enumerated() {
        let value = try #require(try reader.get(stirring.counter, as: String.self))
        let number = try #require(Int(value))
        #expect(number >= seen[index])
        seen[index] = number
      }
      if reads % 64 == 0 {
        let found = try reader.everything()
        for stirring in stirrings { #expect(found[stirring.counter] != nil) }
      }
      reads += 1
    }
    for child in children { #expect(try child.receive() == 1) }
    var model = Operation.Contents()
    for stirring in stirrings { stirring.run(on: &model) }
    #expect(try host.everything() == model)
    #expect(try reader.everything() == model)
    try expectSound(host)
    try reader.close()
    try host.compact()
    #expect(try host.everything() == model)
    #expect(try host.count == model.count)
    let statistics = try host.statistics()
    let large = statistics.largeValueBytes - statistics.liveBytes
    #expect(
      statistics.allocatedBytes
        < (statistics.liveBytes + max(0, large) + statistics.indexBytes) * 5 / 4 + 2 << 20)
    try expectSound(host)
    print("bothWriteAndCompact: \(2 * steps) steps, \(reads) reads beside them")
  }
}
