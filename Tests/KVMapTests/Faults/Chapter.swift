import SystemPackage
import TestSupport

@testable import KVMap

/// A part of a store's life: what the store holds before, how it is opened, and what is
/// done with it. Together the chapters make every system call that a store makes.
enum Chapter: String, CaseIterable, Codable {
  case creation, everyday, everydayBesideAnother, everydayExclusive
  case splits, nextSegment, nextSegmentInTransaction, largeGrowth
  case compaction, compactionBesideAnother, shrinking
  case recovery, recoveryBesideAnother, readOnly, readOnlyBesideAnother, scratch, pinned, backup, increment

  enum Step {
    case write(Operation, Store.Durability? = nil)
    /// Lets a key expire at a time that has passed.
    case expire(String)
    case read, iterate, statistics, verify, sync, checkpoint, compact, backup, increment
  }

  /// Whether another handle has the store open meanwhile.
  var isBesideAnother: Bool { rawValue.hasSuffix("BesideAnother") }

  func change(_ options: inout Store.Options) {
    // A call that waits for what never comes fails soon.
    options.timeout = .milliseconds(100)
    // Which call is the nth must not depend on another thread.
    options.checkpoints = .inline
    switch self {
    case .readOnly, .readOnlyBesideAnother: options.access = .readOnly
    case .scratch: options.access = .scratch
    case .everydayExclusive, .compaction, .shrinking: options.exclusive = true
    case .recoveryBesideAnother: options.durability = .onCommit
    case .pinned:
      options.warm = true
      options.pinned = true
    default: break
    }
  }

  // MARK: Before

  /// The store before the chapter; nil if there is none.
  func image(in scratch: Scratch) throws -> (Image, Operation.Contents)? {
    if self == .creation { return nil }
    let path = scratch.path("before")
    let store = try scratch.store("before")
    var contents: Operation.Contents = [:]
    func put(_ key: String, _ value: [UInt8]) throws {
      try store.put(value, forKey: key)
      contents[bytes(key)] = value
    }
    func remove(_ key: String) throws {
      try store.remove(key)
      contents[bytes(key)] = nil
    }
    for number in 0..<30 { try put("key \(number)", patterned(10 + number, UInt64(number))) }
    try put("large", patterned(70_000, 1))
    try put("larger", patterned(140_000, 2))
    switch self {
    case .nextSegment, .nextSegmentInTransaction:
      // The log ends 100 KiB before the segment's end.
      for number in 0..<15 { try put("filler \(number)", patterned(60_000, UInt64(number))) }
      try put("filler", patterned(20_000, 0))
    case .splits:
      // The next key splits the one bucket.
      for number in 0..<370 { try put("\(number)", [1]) }
      for number in 370... {
        let before = (try Image(of: path), contents)
        try put("\(number)", [1])
        if try store.statistics().bucketPages > 1 { return before }
      }
    case .compaction, .compactionBesideAnother:
      // Live records lie between garbage, and before what will be free.
      for number in 0..<3 { try put("free \(number)", patterned(200_000, UInt64(number))) }
      for number in 0..<12 {
        try put("between \(number)", patterned(100, UInt64(number)))
        for round in 0..<2 { try put("filler", patterned(40_000, UInt64(round))) }
        try store.put("gone", forKey: "expired \(number)", expires: .at(millisecondsSince1970: 1))
      }
      try put("last", patterned(90_000, 1))
      for number in 0..<3 { try remove("free \(number)") }
    case .shrinking:
      for number in 0..<900 { try put("\(number)", [1]) }
      // All buckets are sparse, and the removals that merge them are still to come.
      for number in 0..<700 where !Self.merges("\(number)", store) { try remove("\(number)") }
      try store.checkpoint()
    case .recovery, .recoveryBesideAnother:
      try store.checkpoint()
      for number in 0..<10 { try put("key \(number)", patterned(40, UInt64(number + 100))) }
      try put("large", patterned(90_000, 3))
      try store.remove("key 29")
      contents[bytes("key 29")] = nil
      // Not closed, as if the process had been killed.
      return (try Image(of: path), contents)
    case .increment: try store.backup(to: scratch.path("base"))
    default: break
    }
    try store.close()
    return (try Image(of: path), contents)
  }

  /// Whether removing the key looks for a bucket to merge.
  private static func merges(_ key: String, _ store: Store) -> Bool {
    let hash = unsafe KeyHash(bytes(key).span.bytes, seed: store.core.memory.seed)
    return (hash.bits >> 16) & 15 == 0
  }

  // MARK: Steps

  private static func put(_ key: String, _ size: Int, _ condition: Store.PutCondition = .always) -> Step {
    .write(.put(bytes(key), patterned(size, UInt64(size + 7)), condition))
  }

  private static func transaction(_ changes: [(String, Int?)], aborts: Bool = false) -> Step {
    let changes = changes.map { key, size in
      Operation.Change(key: bytes(key), value: size.map { patterned($0, UInt64($0 + 9)) })
    }
    return .write(.transaction(changes, aborts: aborts))
  }

  private static let oneOfEverything: [Step] = [
    put("new", 20), put("key 1", 30), put("key 2", 30, .absent), put("large", 66_000), put("key 3", 200_000),
    .write(.remove(bytes("key 4"))), .write(.remove(bytes("larger"))), .write(.remove(bytes("absent"))),
    .read, transaction([("key 5", 50), ("key 6", nil), ("key 7", 80_000), ("key 5", 60)]),
    transaction([("key 8", 50), ("key 9", nil), ("key 10", 80_000)], aborts: true),
    .write(.put(bytes("durable"), [1, 2, 3], .always), .onCommit), .iterate, .statistics, .sync,
    put("key 11", 40), .checkpoint, put("key 12", 50), .verify, .write(.remove(bytes("key 13")), .onCommit),
    transaction([("key 14", 90_000), ("key 15", 5)]),
  ]

  var steps: [Step] {
    switch self {
    case .creation: [Self.put("first", 10), .read, Self.put("second", 70_000), .checkpoint]
    case .everyday, .everydayBesideAnother, .everydayExclusive, .scratch: Self.oneOfEverything
    case .splits:
      (0..<6).map { Self.put("more \($0)", 1) } + [.read, .checkpoint]
        + [Self.transaction((0..<4).map { ("again \($0)", 2) }), .verify]
    case .nextSegment:
      (0..<4).map { Self.put("key \($0)", 50_000) } + [.write(.remove(bytes("key 5"))), .checkpoint, .read]
    case .nextSegmentInTransaction:
      [
        Self.transaction((0..<4).map { ("key \($0)", 50_000) }, aborts: true),
        Self.transaction((0..<4).map { ("key \($0)", 60_000) }), .sync, Self.put("key 9", 10), .verify,
      ]
    case .largeGrowth:
      [
        Self.put("key 1", 1_500_000), Self.transaction([("key 2", 2_000_000), ("key 3", 1_100_000)]),
        .write(.remove(bytes("key 1"))), .checkpoint, Self.put("key 4", 1_400_000), .read,
      ]
    case .compaction:
      [
        .expire("key 3"), Self.put("key 1", 50), .compact, .read, Self.put("key 4", 60),
        .write(.remove(bytes("between 3"))), .verify,
      ]
    case .compactionBesideAnother: [.compact, .read, Self.put("key 4", 60)]
    case .shrinking:
      (0..<700).map { .write(.remove(bytes("\($0)"))) } + [.read, .checkpoint, .verify]
    case .recovery, .recoveryBesideAnother: [.read, Self.put("key 1", 33), .statistics, .verify]
    case .readOnly, .readOnlyBesideAnother: [.read, .iterate, .statistics, .verify, .sync]
    case .pinned: [.read, Self.put("key 1", 33)]
    case .backup: [.backup, Self.put("key 1", 33), .backup]
    case .increment: [Self.put("key 1", 33), .write(.remove(bytes("key 2"))), .increment]
    }
  }
}
