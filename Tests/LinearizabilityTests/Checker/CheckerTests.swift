import TestSupport
import Testing

/// Histories made by hand: the checker must accept those that are possible, and no others.
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

  @Test func callsInARowAreAccepted() {
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

  @Test func aReaderBesideAPutMaySeeEitherValue() {
    #expect(
      accepts(
        ran(0, .put, 0, 7, during: 1...10, 1), ran(1, .get, during: 2...3, 0), ran(1, .get, during: 4...5, 7))
    )
    #expect(
      accepts(
        ran(0, .put, 0, 7, during: 1...10, 1), ran(1, .get, during: 2...3, 7), ran(1, .get, during: 4...5, 7))
    )
    // But not the new value and then the old one, even if another reader sees that.
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
    // Each key is right alone, and that is enough.
    #expect(
      accepts(
        ran(0, .put, 0, 7, during: 1...10, 1), ran(0, .put, 1, 8, during: 11...20, 1),
        ran(1, .get, 1, during: 12...13, 8),
        ran(1, .get, 0, during: 14...15, 7)))
  }

  @Test func wrongBytesAreFound() {
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
    // Both read 0 and wrote, but one must have seen the other's value.
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
    // A transaction sees all changes of another one, or none.
    #expect(!accepts(ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .readBoth, during: 2...3, 7, 0)))
    #expect(accepts(ran(0, .writeBoth, 0, 7, during: 1...10, 0, 0), ran(1, .readBoth, during: 2...3, 7, 8)))
    // So does a call with the write lock, and a reader after the transaction has returned.
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
    // The changes are published in their order.
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

  @Test func anInterruptedCallHappenedOrNot() {
    #expect(accepts(died(0, .put, 0, 7, during: 1...10), ran(1, .get, during: 11...12, 7)))
    #expect(accepts(died(0, .put, 0, 7, during: 1...10), ran(1, .get, during: 11...12, 0)))
    // Readers may not see it until another call takes the write lock.
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

  @Test func aRemovedValueThatComesBackIsFound() {
    // A removed value is there again.
    #expect(
      !accepts(
        ran(0, .put, 0, 7, during: 1...2, 1), ran(0, .remove, during: 3...4, 1),
        ran(1, .get, during: 5...6, 7)))
    // An interrupted call does not happen after another one had the write lock and did not see it.
    #expect(
      !accepts(
        died(0, .put, 0, 7, during: 1...10), ran(1, .put, 1, 9, during: 11...12, 1),
        ran(1, .get, 0, during: 13...14, 0),
        ran(1, .get, 0, during: 15...16, 7)))
    #expect(
      !accepts(
        died(0, .put, 0, 7, during: 1...10), ran(1, .remove, 0, during: 11...12, 0),
        ran(1, .get, 0, during: 13...14, 7)))
    // It may if the other one began before its process was gone.
    #expect(
      accepts(
        died(0, .put, 0, 7, during: 1...10), ran(1, .remove, 0, during: 9...12, 0),
        ran(1, .get, 0, during: 13...14, 7)))
  }

  @Test func anInterruptedTransactionHappenedAsAWholeOrNot() {
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

  /// Done one after the other in this order, the calls give the answers of the history.
  @Test func theOrderFoundGivesAllAnswers() throws {
    for seed in 0..<300 as Range<UInt64> {
      // Not with transactions of two changes: a reader may see half of one, which is no such order.
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

  /// A history with right answers, whose times are stretched so that operations overlap, gets
  /// one wrong answer: a value that was never there.
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
