import TestSupport
import Testing

@testable import KVMap

/// Seeded random operations on a store and a dictionary. After each operation both give
/// the same result, after each phase both hold the same and the store is sound.
@Suite(.timeLimit(.minutes(10)))
struct ModelTests {
  /// How a phase has the store open.
  enum Mode: CaseIterable {
    case plain, exclusive, interval, onCommit

    func set(_ options: inout Store.Options) {
      switch self {
      case .plain: break
      case .exclusive: options.exclusive = true
      case .interval: options.durability = .interval(milliseconds: 1)
      case .onCommit: options.durability = .onCommit
      }
    }
  }

  @Test(arguments: Mode.allCases)
  func agreesWithADictionary(mode: Mode) throws {
    let seed = testSeed("agreesWithADictionary")
    let scratch = try Scratch()
    var model = Operation.Contents()
    var number = 0
    for phase in 0..<5 * testScale {
      let store = try scratch.store { mode.set(&$0) }
      try expectSame(store, model)
      for _ in 0..<(mode == .onCommit ? 60 : 250) {
        try step(store, &model, seed: seed, number: number)
        number += 1
      }
      try expectSame(store, model)
      try expectSound(store, "phase \(phase)")
      if mode != .exclusive { try expectOthersAgree(scratch, model) }
      // With and without a checkpoint; closed by a call or by the end of the handle.
      if phase % 3 == 1 { try store.checkpoint() }
      if phase % 2 == 0 { try store.close() }
    }
    let last = try scratch.store()
    try expectSame(last, model)
    try expectSound(last)
  }

  @Test func inMemoryAgreesWithADictionary() throws {
    let seed = testSeed("inMemoryAgreesWithADictionary")
    let store = try Store.inMemory()
    var model = Operation.Contents()
    for number in 0..<600 * testScale { try step(store, &model, seed: seed, number: number) }
    try expectSame(store, model)
    #expect(store.core.verify().isSound, "\(store.core.verify().faults)")
  }

  /// Many small keys, so that buckets split meanwhile.
  @Test func agreesWhileTheIndexGrows() throws {
    let seed = testSeed("agreesWhileTheIndexGrows")
    let scratch = try Scratch()
    var model = Operation.Contents()
    let mix = Operation.Mix(keys: 20_000, largeEvery: 2_000, largestValue: 70_000, longestTransaction: 40)
    var store = try scratch.store { $0.exclusive = true }
    for number in 0..<4_000 * testScale {
      let operation = Operation(seed: seed, number: number, mix: mix)
      #expect(try operation.apply(to: store) == operation.apply(to: &model), "operation \(number)")
      if number % 1_000 == 999 {
        try store.checkpoint()
      }
      if number % 2_500 == 2_499 {
        try store.close()
        store = try scratch.store { $0.exclusive = true }
      }
    }
    try expectSame(store, model)
    try expectSound(store)
  }

  // MARK: Steps

  private func step(
    _ store: Store, _ model: inout Operation.Contents, seed: UInt64, number: Int
  ) throws {
    var generator = SeededGenerator(seed: seed ^ UInt64(number) << 20)
    let operation = Operation(seed: seed, number: number)
    let before = model
    let expected = operation.apply(to: &model)
    let result = try operation.apply(to: store) { transaction, done in
      // The transaction reads its own changes; no other reader sees them yet.
      var inside = before
      for change in done { inside[change.key] = change.value }
      let probe = Operation.key(&generator, Operation.Mix())
      for key in [probe, done.last?.key ?? []] {
        let (value, isThere, outside) = (
          try transaction.get(key), try transaction.contains(key), try store.get(key)
        )
        #expect(value == inside[key], "operation \(number)")
        #expect(isThere == (inside[key] != nil), "operation \(number)")
        #expect(outside == before[key], "operation \(number)")
      }
    }
    #expect(result == expected, "operation \(number): \(operation)")
    #expect(try store.count == model.count, "operation \(number)")
    let key = Operation.key(&generator, Operation.Mix())
    #expect(try store.get(key) == model[key], "operation \(number)")
    #expect(try store.contains(key) == (model[key] != nil), "operation \(number)")
    #expect(try store.withValue(forKey: key) { $0.array } == model[key], "operation \(number)")
    if generator.below(60) == 0 { try store.sync() }
    if generator.below(80) == 0 { try store.checkpoint() }
  }

  private func expectSame(
    _ store: Store, _ model: Operation.Contents, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(try store.count == model.count, sourceLocation: sourceLocation)
    // A failure is to print the keys, not megabytes of values.
    for found in [try store.everything(), try store.everythingByCursor()] {
      let differing = Set(found.keys).union(model.keys).filter { found[$0] != model[$0] }
      #expect(differing.isEmpty, "\(differing.map { $0.prefix(50) })", sourceLocation: sourceLocation)
    }
  }

  /// Handles that only read, with and without a writer beside them.
  private func expectOthersAgree(_ scratch: Scratch, _ model: Operation.Contents) throws {
    let reader = try scratch.store { $0.access = .readOnly }
    try expectSame(reader, model)
    let private_ = try scratch.store { $0.access = .scratch }
    try expectSame(private_, model)
    try private_.put("only here", forKey: "scratch")
    #expect(try private_.get("scratch") == bytes("only here"))
    #expect(try reader.get("scratch") == nil)
    #expect(private_.core.verify().isSound, "\(private_.core.verify().faults)")
  }
}
