import Foundation
import SystemPackage
import Testing

@testable import KVMap

/// Real processes, killed at random instants: whatever had returned is there,
/// transactions are whole, and the store opens and is sound.
@Suite(.timeLimit(.minutes(10)))
struct KillTests {
  static let mix = Operation.Mix(keys: 60, largeEvery: 12, largestValue: 200_000, longestTransaction: 8)

  @Test(arguments: ["none", "onCommit", "exclusive"])
  func whatHadReturnedIsThere(mode: String) throws {
    let seed = testSeed("whatHadReturnedIsThere")
    var generator = SeededGenerator(seed: seed)
    let scratch = try Scratch()
    var contents = Operation.Contents()
    var number = 0
    for _ in 0..<20 * testScale {
      let returned = try runAndKill(scratch, seed, number, mode, &generator)
      for _ in 0..<returned {
        Operation(seed: seed, number: number, mix: Self.mix).apply(to: &contents)
        number += 1
      }
      // The operation that was under way has happened wholly or not at all.
      let next = Operation(seed: seed, number: number, mix: Self.mix)
      let isDone = try check(scratch, [contents, next.applied(to: contents)])
      if isDone {
        next.apply(to: &contents)
        number += 1
      }
    }
    #expect(number > 0, "no operation ever returned before the kill")
  }

  /// Lets a child do operations from `number` on; how many returned before it was killed.
  private func runAndKill(
    _ scratch: Scratch, _ seed: UInt64, _ number: Int, _ mode: String, _ generator: inout SeededGenerator
  ) throws -> Int {
    let child = try ChildProcess(.operations, [scratch.path().string, "\(seed)", "\(number)", mode, ""])
    var told = 0
    // After some operations, or (told 0) at any instant from the start of the process on.
    let wanted = generator.below(60)
    while told < wanted, try child.receive() != nil { told += 1 }
    spin(microseconds: generator.below(wanted == 0 ? 60_000 : 3_000))
    child.kill()
    told += try child.drain().count
    // The first byte says that the store is open.
    return max(0, told - 1)
  }

  /// Whether the store holds the second of two contents; it must be one of them.
  private func check(_ scratch: Scratch, _ possible: [Operation.Contents]) throws -> Bool {
    // A view that changes nothing, and a recovery, must come to the same.
    let isFresh = try scratch.names.isEmpty
    let viewed = isFresh ? [:] : try scratch.store { $0.access = .readOnly }.everything()
    let store = try scratch.store()
    let found = try store.everything()
    #expect(found == viewed, "a reading handle and a recovery differ")
    #expect(try store.count == found.count)
    try expectSound(store)
    guard let index = possible.lastIndex(of: found) else {
      let differing = Set(found.keys).union(possible[0].keys).filter { found[$0] != possible[0][$0] }
      Issue.record("neither before nor after the operation under way; differing: \(differing)")
      return false
    }
    return index == 1
  }

  @Test func recoveryMayBeKilled() throws {
    let seed = testSeed("recoveryMayBeKilled")
    var generator = SeededGenerator(seed: seed)
    let scratch = try Scratch()
    let path = scratch.path().string
    let victim = try ChildProcess(.dieInTurn, [path, "\(6 << 20)"])
    _ = victim.wait()
    let expected = try scratch.store { $0.access = .readOnly }.everything()
    try write(contents(scratch.path()), to: scratch.path("copy"))
    let start = ContinuousClock.now
    _ = try scratch.store("copy")
    let whole = Int((ContinuousClock.now - start) / .microseconds(1))
    for _ in 0..<15 * testScale {
      let child = try ChildProcess(.open, [path])
      #expect(try child.receive() == 1)
      try child.send(1)
      spin(microseconds: generator.below(max(1, whole * 5 / 4)))
      child.kill()
    }
    let store = try scratch.store()
    #expect(try store.everything() == expected)
    #expect(try store.get("before", as: String.self) == "committed")
    try expectSound(store)
  }

  @Test func creationMayBeKilled() throws {
    let seed = testSeed("creationMayBeKilled")
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<10 * testScale {
      let scratch = try Scratch()
      let child = try ChildProcess(.create, [scratch.directory.string])
      let wanted = generator.below(8)
      var made = 0
      while made < wanted, try child.receive() != nil { made += 1 }
      spin(microseconds: generator.below(wanted == 0 ? 80_000 : 20_000))
      child.kill()
      made += try child.drain().count
      // Whatever has a name is a whole store; nothing else is left.
      let files = try scratch.names
      let names = files.compactMap { Int($0) }.sorted()
      #expect(files.count == names.count, "\(files)")
      #expect(names == Array(0..<names.count))
      #expect(names.count == made || names.count == made + 1)
      for name in names {
        let store = try scratch.store("\(name)") { $0.create = false }
        if name < made { #expect(try store.get("key", as: String.self) == "first") }
        try expectSound(store)
      }
    }
  }
}

/// Uses up a little time, to come to a random instant of another process.
func spin(microseconds: Int) {
  let end = ContinuousClock.now + .microseconds(microseconds)
  while ContinuousClock.now < end {}
}
