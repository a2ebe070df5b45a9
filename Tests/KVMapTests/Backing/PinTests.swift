import TestSupport
import Testing

@testable import KVMap

/// Pins of epochs, and writers that look for them.
struct PinTests {
  /// After the reader has loaded the epoch and before it locks it, another process makes a
  /// checkpoint and looks for pins: what the epoch needs may be reused then.
  @Test func aPinThatComesTooLateIsTakenAgain() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    let shared = store.core.memory.shared
    let first = shared[.epoch].number
    let backing = SlowPins(reader.core.backing) { () throws(Store.Error) in
      try store.checkpoint()
      try store.core.withWriteLock { turn throws(Store.Error) in
        try turn.writer.space.reuse.refresh(store.core.memory, store.core.backing)
      }
    }
    let epoch = try ProcessPins(backing, reader.core.source).pinCurrent().epoch
    #expect(backing.pins == [Epoch(number: first), Epoch(number: first + 1)])
    #expect(epoch.number == first + 1)
    #expect(try store.core.backing.locks.lowestPin() == epoch)
  }

  /// Pages that were released after the pin was taken, in whatever epoch, stay as they are.
  @Test func pagesThatAPinnedReaderMaySeeAreNotRewritten() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    var memory: StoreMemory { store.core.memory }
    for number in 0..<2_000 { try store.put("first", forKey: "key \(number)") }
    try store.checkpoint()
    let pin = try reader.core.pins.pinCurrent()
    let root = memory.shared[.root]
    #expect(root.depth == 1)
    let node = NodePage(bytes: memory.bytes, page: root.page)
    let pages = Set((0..<NodePage.entryCount).map { node[$0].page }).union([root.page])
    let before = pages.map { memory.bytes.array($0.offset, count: Layout.pageBytes) }
    for round in 0..<6 {
      for number in 0..<2_000 { try store.put("\(round)", forKey: "key \(number)") }
      try store.checkpoint()
    }
    let after = pages.map { memory.bytes.array($0.offset, count: Layout.pageBytes) }
    let isSame = before == after
    #expect(isSame, "pages were rewritten")
    try reader.core.pins.unpin(pin)
    try expectSound(store)
  }

  /// A reader that pins an epoch too late, when its pages may have been reused, learns that
  /// from the floor. A writer that met such a pin lowered the floor to it, and so did a
  /// takeover: then the next late pin seemed to be in time.
  @Test func theFloorDoesNotFall() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    let shared = store.core.memory.shared
    func checkpointAndLookForPins() throws {
      try store.put("v", forKey: "key")
      try store.checkpoint()
      try store.core.withWriteLock { turn throws(Store.Error) in
        try turn.writer.space.reuse.refresh(store.core.memory, store.core.backing)
      }
    }
    for _ in 0..<3 { try checkpointAndLookForPins() }
    let floor = shared[.pinFloor].number
    #expect(floor > 2)
    try reader.core.backing.locks.pin(Epoch(number: 2))
    try checkpointAndLookForPins()
    #expect(shared[.pinFloor].number >= floor)
    shared[.syncFailed] = 1
    try store.put("w", forKey: "key")
    #expect(shared[.syncFailed] == 0)
    #expect(shared[.pinFloor].number >= floor)
    try reader.core.backing.locks.unpin(Epoch(number: 2))
  }

  /// In an exclusive handle only the reader gate keeps the bytes that a closure reads. A
  /// recovery forgot that the writer was waiting for a reader to leave, and flipped the gate
  /// back, so that nobody looked for that reader.
  @Test func aRecoveryForgetsNoReader() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.exclusive = true }
    var memory: StoreMemory { store.core.memory }
    try store.put(patterned(100_000, 1), forKey: "key")
    try store.checkpoint()
    try store.withValue(forKey: "key") { value in
      try store.remove("key")
      try store.checkpoint()
      try store.core.withWriteLock { turn throws(Store.Error) in
        try turn.writer.space.reuse.refresh(memory, store.core.backing)
      }
      memory.shared[.syncFailed] = 1
      for round in 0..<6 as Range<UInt64> {
        try store.put(patterned(100_000, 2 + round), forKey: "other \(round)")
        try store.checkpoint()
      }
      #expect(value.array == patterned(100_000, 1))
    }
  }

  /// The system may name any one of several locks.
  @Test func theLowestPinIsFoundInWhateverOrderTheyWereTaken() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let readers = try (0..<3).map { _ in try scratch.store { $0.access = .readOnly } }
    for order in [[5, 7, 9], [5, 9, 7], [7, 5, 9], [7, 9, 5], [9, 5, 7], [9, 7, 5]] as [[UInt64]] {
      for (reader, epoch) in zip(readers, order) { try reader.core.backing.locks.pin(Epoch(number: epoch)) }
      #expect(try store.core.backing.locks.lowestPin() == Epoch(number: 5), "pinned in the order \(order)")
      for (reader, epoch) in zip(readers, order) { try reader.core.backing.locks.unpin(Epoch(number: epoch)) }
      #expect(try store.core.backing.locks.lowestPin() == nil)
    }
  }
}

/// Calls a closure before the first pin is taken.
private final class SlowPins: ForwardingBacking, @unchecked Sendable {
  // Sendable: one thread uses it.
  private var beforeFirst: (() throws(Store.Error) -> Void)?
  private(set) var pins: [Epoch] = []

  init(_ backing: any Backing, _ beforeFirst: @escaping () throws(Store.Error) -> Void) {
    self.beforeFirst = beforeFirst
    super.init(backing)
  }

  override func pin(_ epoch: Epoch) throws(Store.Error) {
    try beforeFirst?()
    beforeFirst = nil
    pins.append(epoch)
    try super.pin(epoch)
  }
}
