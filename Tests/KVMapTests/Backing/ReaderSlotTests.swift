import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Readers of values in place announce, in the reader slot of their handle, the epoch that they pin.
@Suite(.timeLimit(.minutes(3)))
struct ReaderSlotTests {
  let scratch: Scratch
  let writer: Store
  let reader: Store

  init() throws {
    scratch = try Scratch()
    writer = try scratch.store()
    try writer.put(patterned(100_000, 1), forKey: "key")
    try writer.checkpoint()
    reader = try scratch.store()
  }

  private func announced() throws -> Epoch? {
    try ReuseRule.announcedPin(writer.core.memory, writer.core.backing)?.epoch
  }

  private func refresh() throws {
    try writer.core.withWriteLock { turn throws(Store.Error) in
      try turn.writer.space.reuse.refresh(writer.core.memory, writer.core.backing)
    }
  }

  /// Writes enough that free space is reused.
  private func overwriteMuch(_ rounds: Range<UInt64>) throws {
    for round in rounds {
      try writer.put(patterned(100_000, 2 + round), forKey: "other \(round)")
      try writer.checkpoint()
    }
  }

  @Test func bytesStayAsTheyAreWhileAReaderUsesThem() throws {
    try reader.withValue(forKey: "key") { value in
      #expect(try announced() == writer.core.shared[.epoch])
      #expect(try writer.core.backing.locks.lowestPin() == nil, "the pin is a lock as well")
      try writer.remove("key")
      try overwriteMuch(0..<6)
      #expect(value.array == patterned(100_000, 1))
    }
    #expect(try announced() == nil)
    let limit = try writer.statistics().fileBytes
    try overwriteMuch(6..<7)
    #expect(try writer.statistics().fileBytes <= limit, "what was freed is not reused")
  }

  @Test func forEachAnnouncesWhatItPins() throws {
    try reader.forEach { _, _ in
      let (pinned, holder) = (try announced(), try writer.statistics().oldestPinHolder)
      #expect(pinned == writer.core.shared[.epoch])
      #expect(holder == getpid())
    }
    #expect(try announced() == nil)
    #expect(try writer.statistics().oldestPinHolder == nil)
  }

  /// The handle knows its own readers from its reader gate.
  @Test func aHandlePassesOverItsOwnSlot() throws {
    try writer.withValue(forKey: "key") { _ in
      let own = try announced()
      let others = try ReuseRule.announcedPin(reader.core.memory, reader.core.backing)
      #expect(own == nil)
      #expect(others != nil)
    }
  }

  #if CRASH_SIMULATION
    /// The other handle writes a checkpoint and looks for pins after the reader has loaded the epoch and
    /// before it announces it.
    @Test func anAnnouncementThatComesTooLateIsMadeAgain() throws {
      try reader.withValue(forKey: "key") { _ in }
      let first = writer.core.shared[.epoch]
      var isFirst = true
      let observer = unsafe StoreObserver { _, _, _ in
        guard isFirst else { return }
        isFirst = false
        // The announcement is taken out of the slot while the other handle looks for pins, as if it
        // were made later.
        let slots = ReaderSlots(bytes: reader.core.source.fixed)
        let offset = SharedState.publicOffset + SharedState.byteCount + 8
        let words = (0..<7).map { offset + $0 * 8 }.filter { slots.bytes.loadRelaxed($0) & 0xffff != 0 }
        for word in words { slots.unpin(word) }
        #expect(throws: Never.self) {
          try writer.checkpoint()
          try refresh()
        }
        for word in words { _ = slots.bytes.exchange(first.number << 16, for: first.number << 16 | 1, word) }
      }
      StoreObserver.current = observer
      let pin = try reader.core.pins.pinCurrent()
      StoreObserver.current = nil
      withExtendedLifetime(observer) {}
      #expect(!isFirst)
      #expect(pin.epoch > first)
      #expect(try announced() == pin.epoch)
      try reader.core.pins.unpin(pin)
      #expect(try announced() == nil)
    }
  #endif

  /// A reader of a later epoch takes another word of the slot. If all took the same word, readers that
  /// overlap without end would pin the first one's epoch for ever.
  @Test func overlappingReadersDoNotKeepAnOldEpoch() throws {
    var pin = try reader.core.pins.pinCurrent()
    for _ in 0..<20 {
      try writer.checkpoint()
      let next = try reader.core.pins.pinCurrent()
      #expect(next.epoch > pin.epoch)
      #expect(try announced() == pin.epoch)
      try reader.core.pins.unpin(pin)
      pin = next
      #expect(try announced() == pin.epoch)
    }
    try reader.core.pins.unpin(pin)
    #expect(try announced() == nil)
  }

  @Test func manyReadersShareAWord() throws {
    let pins = try (0..<1_000).map { _ in try reader.core.pins.pinCurrent() }
    #expect(try announced() == writer.core.shared[.epoch])
    #expect(try writer.core.backing.locks.lowestPin() == nil)
    for (number, pin) in pins.enumerated() {
      #expect(try announced() != nil, "after \(number)")
      try reader.core.pins.unpin(pin)
    }
    #expect(try announced() == nil)
  }

  /// A lock is the pin if readers pin more epochs at once than a slot has words, if there are more
  /// handles than slots, or if the handle cannot write.
  @Test func aReaderWithoutASlotTakesALock() throws {
    var pins: [ProcessPins.Pin] = []
    for _ in 0..<10 {
      pins.append(try reader.core.pins.pinCurrent())
      try writer.checkpoint()
    }
    #expect(try announced() == pins[0].epoch)
    #expect(try writer.core.backing.locks.lowestPin() == pins[7].epoch)
    for pin in pins { try reader.core.pins.unpin(pin) }
    #expect(try writer.core.backing.locks.lowestPin() == nil)

    let handles = try (0..<ReaderSlots.count + 3).map { _ in try scratch.store() }
    for (number, handle) in handles.enumerated() {
      try handle.withValue(forKey: "key") { value in
        let isLocked = try writer.core.backing.locks.lowestPin() != nil
        let isAnnounced = try announced() != nil
        // `reader` has one of the slots.
        #expect(isLocked == (number >= ReaderSlots.count - 1), "handle \(number)")
        #expect(isLocked != isAnnounced)
        #expect(value.byteCount == 100_000)
      }
    }
    let readOnly = try scratch.store { $0.access = .readOnly }
    try readOnly.withValue(forKey: "key") { _ in
      let (pinned, locked) = (try announced(), try writer.core.backing.locks.lowestPin())
      #expect(pinned == nil)
      #expect(locked != nil)
    }
  }

  // MARK: Closing while reading

  /// The handle is closed while a reader uses a value in place. Then another handle opens the store alone and
  /// overwrites much. It may begin in an earlier epoch than the reader's: snapshots end epochs without a
  /// checkpoint.
  @Test(arguments: [0, 1, 2])
  func aValueStaysWhenItsHandleIsClosed(snapshots: Int) throws {
    let scratch = try Scratch()
    do {
      let store = try scratch.store()
      try store.put(patterned(100_000, 1), forKey: "key")
    }
    let reader = try scratch.store()
    for _ in 0..<snapshots { try reader.snapshot().end() }
    try reader.withValue(forKey: "key") { value in
      try reader.close()
      try Self.overwrite(scratch)
      #expect(value.array == patterned(100_000, 1))
    }
  }

  /// The end of a snapshot does not end a reader's pin of the same epoch.
  @Test(arguments: [false, true])
  func aValueStaysWhenASnapshotEnds(endsSnapshot: Bool) throws {
    let scratch = try Scratch()
    let reader = try scratch.store()
    try reader.put(patterned(100_000, 1), forKey: "key")
    let snapshot = try reader.snapshot()
    try reader.withValue(forKey: "key") { value in
      try reader.close()
      if endsSnapshot { snapshot.end() }
      try Self.overwrite(scratch)
      #expect(value.array == patterned(100_000, 1))
    }
    withExtendedLifetime(snapshot) {}
  }

  private static func overwrite(_ scratch: Scratch) throws {
    let writer = try scratch.store()
    try writer.remove("key")
    for round in 0..<8 as Range<UInt64> {
      try writer.put(patterned(100_000, 2 + round), forKey: "other \(round)")
      try writer.checkpoint()
    }
  }

  // MARK: Processes

  /// A process is killed while it reads in place. Its announcement stays in the file, but does not
  /// count. The next handle that takes the slot clears it.
  @Test func aDeadReaderPinsNothing() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let writer = try scratch.store()
        try writer.put(patterned(100_000, 1), forKey: "key")
        func announced() throws -> Epoch? {
          try ReuseRule.announcedPin(writer.core.memory, writer.core.backing)?.epoch
        }
        let board = Board()
        let child = ForkedChild(board) {
          guard let reader = try? scratch.store() else { return }
          _ = try? reader.withValue(forKey: "key") { _ in
            board.returned = 1
            while true { sleep(1) }
          }
        }
        #expect(try child.waits { board.returned == 1 })
        #expect(try announced() != nil)
        child.kill()
        _ = try child.waits { child.hasEnded }
        #expect(try announced() == nil, "the dead process still pins")
        let reader = try scratch.store()
        let pinned = try reader.withValue(forKey: "key") { _ in try announced() }
        #expect(pinned != nil)
        #expect(try announced() == nil, "the pin of the dead process counts again")
      }
    }
  }

  /// A child that is forked within a call does not end its parent's pin.
  @Test func aForkedChildEndsNoPin() async {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let writer = try scratch.store()
        let reader = try scratch.store()
        try writer.put("value", forKey: "key")
        let board = Board()
        try reader.withValue(forKey: "key") { _ in
          let pin = try reader.core.pins.pinCurrent()
          let child = ForkedChild(board) {
            alarm(20)
            try? reader.core.pins.unpin(pin)
          }
          _ = try child.waits { child.hasEnded }
          #expect(child.end == .well, "\(board.message)")
          try reader.core.pins.unpin(pin)
          #expect(try ReuseRule.announcedPin(writer.core.memory, writer.core.backing) != nil)
        }
        #expect(try ReuseRule.announcedPin(writer.core.memory, writer.core.backing) == nil)
      }
    }
  }

  /// One handle overwrites values and writes checkpoints as fast as it can. Readers of another handle look at
  /// each value twice.
  @Test func valuesDoNotChangeWhileReadersUseThem() async throws {
    let keys = 40
    for key in 0..<keys { try await writer.put(patterned(3_000, 1), forKey: "\(key)") }
    let (writer, reader) = (writer, reader)
    try await withThrowingTaskGroup(of: Int.self) { group in
      for thread in 0..<3 {
        group.addTask {
          var looks = 0
          var random = SeededGenerator(seed: UInt64(thread))
          while looks < 20_000 {
            looks += 1
            let key = Int.random(in: 0..<keys, using: &random)
            try reader.withValue(forKey: "\(key)") { value in
              let first = value.array
              sched_yield()
              #expect(value.array == first)
            }
          }
          return looks
        }
      }
      group.addTask {
        for round in 0..<400 as Range<UInt64> {
          for key in 0..<keys { try await writer.put(patterned(3_000, round), forKey: "\(key)") }
          if round % 4 == 0 { try await writer.checkpoint() }
        }
        return 0
      }
      for try await _ in group {}
    }
    try blocking { try expectSound(writer) }
  }
}
