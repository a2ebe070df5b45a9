import TestSupport
import Testing

@testable import KVMap

/// Why reading without locks is right: if space became free for reuse during a read, the read
/// is repeated, whatever it found.
struct ReadProtocolTests {
  private let scratch: Scratch
  private let writer: Store
  private let reader: Store

  init() throws {
    scratch = try Scratch()
    writer = try scratch.store()
    reader = try scratch.store { $0.access = .readOnly }
    try writer.put("value", forKey: "key")
  }

  @Test func aReadIsRepeatedIfSpaceWasFreedMeanwhile() throws {
    var looks = 0
    let found = try reader.core.read { _ throws(Store.Error) -> Int in
      looks += 1
      if looks == 1 { try writer.checkpoint() }
      return looks
    }
    #expect(found == 2)
    #expect(looks == 2)
  }

  @Test func damageSeenInFreedSpaceIsNotReported() throws {
    var looks = 0
    let found = try reader.core.read { _ throws(Store.Error) -> Int in
      looks += 1
      if looks < 3 {
        try writer.checkpoint()
        throw Store.Error(.damaged, "as it looks when a page is rewritten")
      }
      return looks
    }
    #expect(found == 3)
  }

  @Test func damageThatStaysIsReported() throws {
    var looks = 0
    let found = code {
      try reader.core.read { _ throws(Store.Error) -> Int in
        looks += 1
        throw Store.Error(.damaged, "as it is")
      }
    }
    #expect(found == .damaged)
    #expect(looks == 1)
  }

  /// There is a checkpoint during each attempt. In the end the reader pins the epoch and is done.
  @Test func aReadEndsDespiteManyCheckpoints() throws {
    var looks = 0
    let found = try reader.core.read { _ throws(Store.Error) -> Epoch? in
      looks += 1
      try writer.checkpoint()
      return try writer.core.backing.locks.lowestPin()
    }
    #expect(looks == 4)
    #expect(found != nil, "the last attempt had no pin")
    #expect(try writer.core.backing.locks.lowestPin() == nil, "the pin is still there")
  }

  @Test func aClosurePinsWhatItReads() throws {
    try reader.withValue(forKey: "key") { _ in
      let pin = try writer.core.backing.locks.lowestPin()
      #expect(pin?.number == writer.core.memory.shared[.epoch].number)
    }
    #expect(try writer.core.backing.locks.lowestPin() == nil)
    try reader.forEach { _, _ in
      let pin = try writer.core.backing.locks.lowestPin()
      #expect(pin?.number == writer.core.memory.shared[.epoch].number)
    }
    #expect(try writer.core.backing.locks.lowestPin() == nil)
    let view = try scratch.store { $0.access = .scratch }
    #expect(try writer.core.backing.locks.lowestPin() != nil)
    try view.close()
    #expect(try writer.core.backing.locks.lowestPin() == nil)
  }

  /// A reader was on its way to a bucket that was split meanwhile. When it arrived, a
  /// checkpoint had sealed the epoch and was syncing. The old bucket was not in the
  /// checkpoint's index and so had no checksum, and nothing told the reader to read again.
  @Test func aBucketThatWasSplitIsNotDamaged() throws {
    var memory: StoreMemory { writer.core.memory }
    let hash = unsafe KeyHash(bytes("key").span.bytes, seed: memory.seed)
    let index = IndexReader(memory: memory)
    func bucket() throws -> PagePointer { try index.bucket(hash, workingTag: 0) }
    let old = try bucket()
    var number = 0
    while try bucket().page == old.page {
      try writer.put("v", forKey: "other \(number)")
      number += 1
    }
    try writer.core.withWriteLock { _ throws(Store.Error) in
      let checkpoint = Checkpoint(
        source: writer.core.source, backing: writer.core.backing, previous: writer.core.superblock)
      let durable = memory.shared[.durableEpoch]
      let block = checkpoint.freeze()
      try checkpoint.seal(block, after: durable)
      let tag = memory.shared[.epoch].tag
      try reader.core.read { _ throws(Store.Error) in
        _ = try reader.core.memory.check(old, .bucket, workingTag: tag)
      }
      try checkpoint.persist(block)
      checkpoint.publishReuse(block)
    }
  }
}
