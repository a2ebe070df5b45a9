import TestSupport
import Testing

@testable import KVMap

/// What makes reading without locks right: a look during which space was given
/// free for reuse counts for nothing, whether it found something, nothing, or damage.
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

  @Test func aLookIsRepeatedIfSpaceWasFreedMeanwhile() throws {
    var looks = 0
    let found = try reader.core.read { _ throws(StoreError) -> Int in
      looks += 1
      if looks == 1 { try writer.checkpoint() }
      return looks
    }
    #expect(found == 2)
    #expect(looks == 2)
  }

  @Test func damageThatWasSeenInFreedSpaceIsNone() throws {
    var looks = 0
    let found = try reader.core.read { _ throws(StoreError) -> Int in
      looks += 1
      if looks < 3 {
        try writer.checkpoint()
        throw StoreError(.damaged, "as it looks when a page is rewritten")
      }
      return looks
    }
    #expect(found == 3)
  }

  @Test func damageThatStaysIsReported() throws {
    var looks = 0
    let found = code {
      try reader.core.read { _ throws(StoreError) -> Int in
        looks += 1
        throw StoreError(.damaged, "as it is")
      }
    }
    #expect(found == .damaged)
    #expect(looks == 1)
  }

  /// A checkpoint during each look: the reader pins what it looks at and is done.
  @Test func aReaderComesToAnEnd() throws {
    var looks = 0
    let found = try reader.core.read { _ throws(StoreError) -> Epoch? in
      looks += 1
      try writer.checkpoint()
      return try writer.core.backing.locks.lowestPin()
    }
    #expect(looks == 4)
    #expect(found != nil, "the last look was not pinned")
    #expect(try writer.core.backing.locks.lowestPin() == nil, "the pin is still there")
  }

  @Test func aClosureKeepsWhatItLooksAtPinned() throws {
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

  /// A reader on its way to a bucket that was split meanwhile came there when a checkpoint
  /// had sealed the epoch and was syncing: the bucket had no checksum, since the checkpoint
  /// had not come by it, and nothing told the reader to look again.
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
    try writer.core.withWriteLock { _ throws(StoreError) in
      let checkpoint = Checkpoint(
        source: writer.core.source, backing: writer.core.backing, previous: writer.core.superblock)
      let durable = memory.shared[.durableEpoch]
      let block = checkpoint.freeze()
      try checkpoint.seal(block, after: durable)
      let tag = memory.shared[.epoch].tag
      try reader.core.read { _ throws(StoreError) in
        _ = try reader.core.memory.check(old, .bucket, workingTag: tag)
      }
      try checkpoint.persist(block)
      checkpoint.publishReuse(block)
    }
  }
}
