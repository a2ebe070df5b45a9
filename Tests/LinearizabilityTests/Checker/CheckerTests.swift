import TestSupport
import Testing

/// The checker must accept what may be and refuse what must not: histories made by hand.
struct CheckerTests {
  /// An operation of `worker` from one time to another. The keys are 0, 1, 2.
  private func ran(
    _ worker: Int, _ kind: Call.Kind, _ key: Int = 0, _ value: UInt32 = 0, other: Int = 1,
    during times: ClosedRange<UInt64>, _ first: UInt32, _ second: UInt32 = 0
  ) -> Operation {
    Operation(
      worker: worker, call: Call(kind: kind, key: key, other: other, value: value),
      invoked: times.lowerBound, end: .returned(at: times.upperBound, Answer(first: first, second: second)))
  }

  /// An operation of a process that was killed.
  private func died(
    _ worker: Int, _ kind: Call.Kind, _ key: Int = 0, _ value: UInt32 = 0, other: Int = 1,
    during times: ClosedRange<UInt64>
  ) -> Operation {
    Operation(
      worker: worker, call: Call(kind: kind, key: key, other: other, value: value),
      invoked: times.lowerBound, end: .killed(at: times.upperBound))
  }

  private func accepts(_ operations: Operation...) -> Bool {
    Checker.accepts(History(operations: operations))
  }

  @Test func oneAfterTheOther() {
    #expect(accepts())
    #expect(
      accepts(
        ran(0, .get, during: 1...2, 0), ran(0, .put, 0, 7, during: 3...4, 1), ran(1, .get, during: 5...6, 7),
        ran(1, .contains, during: 7...8, 1),
        ran(0, .putIfAbsent, 0, 8, during: 9...10, 0), ran(0, .putIfPresent, 0, 9, during: 11...12, 1),
        ran(1, .view, during: 13...14, 9),
        ran(0, .remove, during: 15...16, 1), ran(0, .remove, during: 17...18, 0),
        ran(0, .putIfPresent, 0, 10, during: 19...20, 0),
        ran(1, .get, during: 21...22, 0)))
  }

  @Test func besideAPutAReaderMaySeeEither() {
    #expect(
      accepts(
        ran(0, .put, 0, 7, during: 1...10, 1), ran(1, .get, during: 2...3, 0), ran(1, .get, during: 4...5, 7))
    )
    #expect(
      accepts(
        ran(0, .put, 0, 7, during: 1...10, 1), ran(1, .get, during: 2...3, 7), ran(1, .get, during: 4...5, 7))
    )
    // But not the new one and then the old one, be it another who looks.
    #expect(
      !accepts(
        ran(0, .put, 0, 7, during: 1...10, 1), ran(1, .get, during: 2...3, 7), ran(1, .get, during: 4...5, 0))
    )
    #expect(
      !accepts(
        ran(0, .put, 0, 7, during: 1...10, 1), ran(1, .get, during: 2...3, 7),
        ran(2, .contains, during: 4...5, 0)))
  }

  @Test func aStaleReadIsFound() {
    #expect(!accepts(ran(0, .put, 0, 7, during: 1...2, 1), ran(1, .get, during: 3...4, 0)))
    #expect(
      !accepts(
        ran(0, .put, 0, 7, during: 1...2, 1), ran(0, .put, 0, 8, during: 3...4, 1),
        ran(1, .get, during: 5...6, 7)))
    // Each key for itself is right; both together are not looked at, nor need to be.
    #expect(
      accepts(
        ran(0, .put, 0, 7, during: 1...10, 1), ran(0, .put, 1, 8, during: 11...20, 1),
        ran(1, .get, 1, during: 12...13, 8),
        ran(1, .get, 0, during: 14...15, 7)))
  }

  @Test func otherBytesAreFound() {
    #expect(!accepts(ran(0, .put, 0, 7, during: 1...10, 1), ran(1, .get, during: 2...3, NumberedValue.wrong)))
    #expect(!accepts(ran(0, .put, 0, 7, during: 1...10, 1), ran(1, .get, during: 2...3, 8)))
  }

  @Test func aConditionHoldsForOneOfTwo() {
    #expect(
      accepts(ran(0, .putIfAbsent, 0, 7, during: 1...10, 1), ran(1, .putIfAbsent, 0, 8, during: 2...9, 0)))
    #expect(
      !accepts(ran(0, .putIfAbsent, 0, 7, during: 1...10, 1), ran(1, .putIfAbsent, 0, 8, during: 2...9, 1)))
    #expect(!accepts(ran(0, .putIfAbsent, 0, 7, during: 1...10, 0)))
    #expect(
      !accepts(
        ran(0, .put, 0, 7, during: 1...2, 1), ran(0, .remove, during: 3...10, 1),
        ran(1, .remove, during: 4...9, 1)))
  }

  @Test func aLostUpdateIsFound() {
    // Both read 0 and say that they wrote: one must have seen the other's.
    #expect(
      !accepts(
        ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .writeBoth, 0, 17, during: 2...9, 0, 0)))
    #expect(
      accepts(
        ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .writeBoth, 0, 17, during: 2...9, 7, 8),
        ran(0, .readBoth, during: 11...12, 17, 18)))
    #expect(
      !accepts(
        ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .writeBoth, 0, 17, during: 2...9, 7, 8),
        ran(0, .readBoth, during: 11...12, 7, 8)))
  }

  @Test func aTornTransactionIsFound() {
    // Transactions see all of another one or nothing.
    #expect(!accepts(ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .readBoth, during: 2...3, 7, 0)))
    #expect(accepts(ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .readBoth, during: 2...3, 7, 8)))
    // So does whoever has the turn, and a reader once the transaction has returned.
    #expect(
      !accepts(
        ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .get, 0, during: 2...3, 7),
        ran(1, .putIfPresent, 1, 9, during: 4...5, 0)))
    #expect(!accepts(ran(0, .writeBoth, 0, 7, during: 1...2, 0, 0), ran(1, .get, 1, during: 3...4, 0)))
    #expect(
      !accepts(
        ran(0, .put, 0, 5, during: 1...2, 1), ran(0, .move, during: 3...12, 5, 0),
        ran(1, .get, 1, during: 4...5, 5),
        ran(1, .get, 0, during: 6...7, 5)))
  }

  @Test func aTransactionIsPublishedChangeByChange() {
    #expect(
      accepts(
        ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .get, 0, during: 2...3, 7),
        ran(1, .get, 1, during: 4...5, 0),
        ran(1, .get, 1, during: 6...7, 8)))
    // In its order.
    #expect(
      !accepts(
        ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .get, 1, during: 2...3, 8),
        ran(1, .get, 0, during: 4...5, 0)))
    #expect(
      accepts(
        ran(0, .put, 0, 5, during: 1...2, 1), ran(0, .move, during: 3...12, 5, 0),
        ran(1, .get, 0, during: 4...5, 0),
        ran(1, .get, 1, during: 6...7, 0), ran(0, .readBoth, during: 13...14, 0, 5)))
  }

  @Test func givingUpChangesNothing() {
    #expect(accepts(ran(0, .giveUp, 0, 7, during: 1...10, 0, 0), ran(1, .get, 0, during: 2...3, 0)))
    #expect(!accepts(ran(0, .giveUp, 0, 7, during: 1...10, 0, 0), ran(1, .get, 0, during: 2...3, 7)))
    #expect(!accepts(ran(0, .giveUp, 0, 7, during: 1...10, 0, 0), ran(1, .get, 1, during: 12...13, 8)))
  }

  @Test func whatWasCutOffHappenedOrNot() {
    #expect(accepts(died(0, .put, 0, 7, during: 1...10), ran(1, .get, during: 11...12, 7)))
    #expect(accepts(died(0, .put, 0, 7, during: 1...10), ran(1, .get, during: 11...12, 0)))
    // Readers may go on without it until somebody takes the turn.
    #expect(
      accepts(
        died(0, .put, 0, 7, during: 1...10), ran(1, .get, during: 11...12, 0),
        ran(1, .put, 1, 9, during: 13...14, 1),
        ran(1, .get, during: 15...16, 7)))
    #expect(
      !accepts(
        died(0, .put, 0, 7, during: 1...10), ran(1, .get, during: 11...12, 7),
        ran(1, .get, during: 13...14, 0)))
    #expect(!accepts(died(0, .put, 0, 7, during: 5...10), ran(1, .get, during: 1...2, 7)))
  }

  @Test func aResurrectionIsFound() {
    // Removed, and there again.
    #expect(
      !accepts(
        ran(0, .put, 0, 7, during: 1...2, 1), ran(0, .remove, during: 3...4, 1),
        ran(1, .get, during: 5...6, 7)))
    // What was cut off does not happen after another had the turn and went on without it.
    #expect(
      !accepts(
        died(0, .put, 0, 7, during: 1...10), ran(1, .put, 1, 9, during: 11...12, 1),
        ran(1, .get, 0, during: 13...14, 0),
        ran(1, .get, 0, during: 15...16, 7)))
    #expect(
      !accepts(
        died(0, .put, 0, 7, during: 1...10), ran(1, .remove, 0, during: 11...12, 0),
        ran(1, .get, 0, during: 13...14, 7)))
    // It may if the other had begun before it was gone.
    #expect(
      accepts(
        died(0, .put, 0, 7, during: 1...10), ran(1, .remove, 0, during: 9...12, 0),
        ran(1, .get, 0, during: 13...14, 7)))
  }

  @Test func aTransactionThatWasCutOffIsWholeOrNot() {
    let torn = died(0, .writeBoth, 0, 7, during: 1...10)
    #expect(accepts(torn, ran(1, .get, 0, during: 11...12, 7), ran(1, .get, 1, during: 13...14, 0)))
    #expect(
      !accepts(
        torn, ran(1, .get, 0, during: 11...12, 7), ran(1, .remove, 2, during: 13...14, 0),
        ran(1, .get, 1, during: 15...16, 0)))
    #expect(
      accepts(
        torn, ran(1, .get, 0, during: 11...12, 7), ran(1, .remove, 2, during: 13...14, 0),
        ran(1, .get, 1, during: 15...16, 8)))
    #expect(!accepts(torn, ran(1, .readBoth, during: 11...12, 7, 0)))
    #expect(!accepts(torn, ran(1, .readBoth, during: 11...12, 0, 0), ran(2, .get, 1, during: 13...14, 8)))
  }

  /// The order it finds is one: done in it, one after the other, all answers come out.
  @Test func theOrderFoundIsOne() throws {
    for seed in 0..<300 as Range<UInt64> {
      // A transaction of two changes may be seen half by a reader: no plain order.
      let operations = random(
        seed, Call.Kind.allCases.filter { ![.writeBoth, .exchange, .move].contains($0) })
      let order = try #require(Checker.linearization(of: operations))
      var contents = Contents()
      for operation in order {
        let outcome = operation.call.outcome(on: contents)
        #expect(outcome.answer == operation.answer, "seed \(seed)")
        for change in outcome.changes { contents[change.key] = change.value }
      }
      #expect(order.count == operations.count)
    }
  }

  /// Right answers of operations in a row, with times stretched so that they overlap; and
  /// then one wrong answer, a value that was never there.
  @Test func oneWrongAnswerAmongManyIsFound() {
    for seed in 0..<300 as Range<UInt64> {
      var operations = random(seed)
      var generator = SeededGenerator(seed: seed, -3)
      let place = generator.below(operations.count)
      guard case .returned(let time, var answer) = operations[place].end else { continue }
      answer.first += 1_000_000
      operations[place].end = .returned(at: time, answer)
      #expect(!Checker.accepts(History(operations: operations)), "seed \(seed)")
    }
  }

  private func random(_ seed: UInt64, _ kinds: [Call.Kind] = Call.Kind.allCases) -> [Operation] {
    var generator = SeededGenerator(seed: seed)
    var contents = Contents()
    return (0..<40).map { index in
      let key = generator.below(3)
      let call = Call(
        kind: kinds[generator.below(kinds.count)], key: key,
        other: (key + 1 + generator.below(2)) % 3, value: UInt32(2 * index + 1))
      let outcome = call.outcome(on: contents)
      for change in outcome.changes { contents[change.key] = change.value }
      let instant = UInt64(1_000 + 10 * index)
      return Operation(
        worker: index, call: call, invoked: instant - UInt64(generator.below(40)),
        end: .returned(at: instant + UInt64(generator.below(40)), outcome.answer))
    }
  }
}
