import MappedMemory
import SystemPackage

@testable import KVMap

/// A small store with everything that a store can hold, and what damage to it may do.
final class HostileStore {
  let name: String
  let image: Image
  /// All keys that are read: present, removed, expired and never there.
  private(set) var keys: [[UInt8]] = []
  /// The value of each key in each state to which a crash could return; the last one is the
  /// state at the end.
  private(set) var states: [[[UInt8]?]] = []
  private(set) var regions: [Region] = []

  /// Some bytes of the file, and the effect of damage to them. Damage elsewhere has no effect.
  struct Region {
    let bytes: Range<Int>
    let effect: Effect
  }

  struct Effect {
    enum Refusal { case never, possible, certain }
    var whenReading = Refusal.never
    var whenWriting = Refusal.never
    /// Keys, by number, that may be errors.
    var lost: Set<Int> = []
    /// Whether they surely are errors.
    var isLossCertain = false
    /// Whether the last commit is taken for one that a crash has torn.
    var losesLastCommit = false
    /// Whether all commits after the checkpoint may be gone without a trace.
    var losesCommits = false
    /// Whether a refusal says where the damage is.
    var namesPlace = false

    static let none = Effect()
    static let refused = Effect(
      whenReading: .certain, whenWriting: .certain, namesPlace: true)
  }

  private init(_ name: String, _ path: FilePath, _ body: (inout Script) throws -> Void) throws {
    self.name = name
    try Self.create(path)
    let store = try Store(path)
    var script = Script(store: store)
    try body(&script)
    if script.isClosed { try store.close() }
    image = try Image(path)
    keys = Set(script.everyKey).union([Array("never there".utf8)]).sorted { $0.lexicographicallyPrecedes($1) }
    states = script.states.map { state in keys.map { state[$0] } }
    try findRegions(script)
    if !script.isClosed { try store.close() }
  }

  /// Makes an empty store with a fixed seed, so that cases can be repeated.
  private static func create(_ path: FilePath) throws {
    try Image.makeEmptyFile(path)
    let backing = try FileBacking(
      File(opening: path, access: .readWrite), locks: File(opening: path, access: .readWrite),
      isWritable: true)
    let source = backing.mapping.source(seed: StoreSeed(low: 0x0123_4567_89ab_cdef, high: 22))
    try Creation(source: source, backing: backing, clock: .system, identifier: (1, 2)).build()
  }

  // MARK: The stores

  /// A closed store, with a bucket that has an overflow page.
  static func closed(in directory: FilePath) throws -> HostileStore {
    try HostileStore("closed", directory.appending("closed")) { script in
      try script.fill()
      try script.addCrowd(30)
      try script.store.checkpoint()
      try script.change()
      script.isClosed = true
    }
  }

  /// A store that was not closed: there are durable commits after the checkpoint.
  static func unclosed(in directory: FilePath) throws -> HostileStore {
    try HostileStore("unclosed", directory.appending("unclosed")) { script in
      try script.fill()
      try script.store.checkpoint()
      script.isDurable = true
      try script.change()
      try script.changeTogether()
      try script.put("large, too", patterned(66_001, 9))
      try script.put("the last but one", Array("12345".utf8))
      try script.put("the last", Array("its value".utf8))
    }
  }

  /// A store so small that each of its bits can be tried, closed or with commits after the
  /// checkpoint.
  static func tiny(in directory: FilePath, isClosed: Bool) throws -> HostileStore {
    try HostileStore(isClosed ? "tiny" : "tiny and not closed", directory.appending("tiny")) { script in
      try script.put("a", Array("first".utf8))
      try script.put("b", [])
      try script.put([], Array("of the empty key".utf8))
      try script.put("expires in ages", Array("x".utf8), expires: .at(millisecondsSince1970: 1 << 50))
      script.isClosed = isClosed
      if isClosed { return }
      try script.store.checkpoint()
      script.isDurable = true
      try script.put("a", Array("second".utf8))
      try script.remove("b")
      try script.put("c", Array("last".utf8))
    }
  }

  /// A closed store with several buckets.
  static func split(in directory: FilePath) throws -> HostileStore {
    try HostileStore("split", directory.appending("split")) { script in
      for number in 0..<900 { try script.put("\(number)", Array("v\(number)".utf8)) }
      script.isClosed = true
    }
  }

  // MARK: Regions

  private func findRegions(_ script: Script) throws {
    let block = try SuperblockPair(image.bytes).current().block
    let header = Int(block.segment.position.offset)
    regions.append(Region(bytes: header..<header + SegmentHeader.byteCount, effect: .refused))
    var hasLog = false
    for (number, commit) in script.commits.enumerated() where commit.start >= block.logPosition.offset {
      hasLog = true
      let isLast = number == script.commits.count - 1
      let effect = isLast ? Effect(losesLastCommit: true) : .refused
      addLog(commit, effect)
    }
    let whenReplaying: Effect.Refusal = hasLog ? .possible : .never
    addIndex(block, whenReplaying)
    addSpace(
      block.spaceRoot, level: block.spaceRoot.depth,
      Effect(whenReading: whenReplaying, whenWriting: .possible))
    addRecords()
  }

  /// The records of a commit after the checkpoint, and their extents; not the padding.
  private func addLog(_ commit: Script.Commit, _ effect: Effect) {
    var at = Int(commit.start)
    while at < Int(commit.end) {
      let head = RecordHeader(image.bytes, at: at)
      regions.append(Region(bytes: at..<at + head.contentBytes, effect: effect))
      if head.flags.contains(.external) {
        let run = Int(image.bytes.load64(at + head.externalOffset))
        regions.append(Region(bytes: run..<run + head.valueLength, effect: effect))
      }
      at += head.storedBytes
    }
  }

  private func addIndex(_ block: Superblock, _ refusal: Effect.Refusal) {
    var pages: [PageNumber: Set<Int>] = [:]
    var overflow: [PageNumber: Set<Int>] = [:]
    for (number, key) in keys.enumerated() {
      let hash = unsafe KeyHash(key.span.bytes, seed: block.seed)
      var pointer = block.root
      var depth = 0
      for _ in 0..<block.root.depth {
        pages[pointer.page, default: []].insert(number)
        pointer = NodePage(bytes: image.bytes, page: pointer.page)[hash.entry(depth: depth)]
        depth = pointer.depth
      }
      pages[pointer.page, default: []].insert(number)
      var next = PageHeader(bytes: image.bytes, page: pointer.page).overflow
      while next.number != 0 {
        overflow[next, default: []].insert(number)
        next = PageHeader(bytes: image.bytes, page: next).overflow
      }
    }
    for (isCertain, found) in [(true, pages), (false, overflow)] {
      for (page, keys) in found {
        let effect = Effect(
          whenReading: refusal, whenWriting: refusal, lost: keys,
          isLossCertain: isCertain && refusal == .never)
        regions.append(Region(bytes: page.offset..<page.offset + Image.pageBytes, effect: effect))
      }
    }
  }

  private func addSpace(_ pointer: PagePointer, level: Int, _ effect: Effect) {
    if pointer.bits == 0 { return }
    let start = pointer.page.offset
    regions.append(Region(bytes: start..<start + Image.pageBytes, effect: effect))
    if level == 0 { return }
    let node = NodePage(bytes: image.bytes, page: pointer.page)
    for entry in 0..<NodePage.entryCount { addSpace(node[entry], level: level - 1, effect) }
  }

  /// The records that the checkpoint's index points to, and their extents.
  private func addRecords() {
    var slots: [Slot] = []
    for region in regions where region.bytes.count == Image.pageBytes {
      let page = PageNumber(number: UInt64(region.bytes.lowerBound / Image.pageBytes))
      let kind = PageHeader(bytes: image.bytes, page: page).kindByte
      guard kind == PageKind.bucket.rawValue || kind == PageKind.overflow.rawValue else { continue }
      let bucket = Bucket(bytes: image.bytes, page: page)
      for line in 1...Bucket.lineCount {
        for slot in 0..<Bucket.slotsPerLine { slots.append(bucket.load(line: line, slot: slot)) }
      }
    }
    let replayed = regions.map(\.bytes)
    for slot in slots where !slot.isEmpty {
      let at = Int(slot.position.offset)
      let head = RecordHeader(image.bytes, at: at)
      let key = image.bytes.array(at + head.keyOffset, count: head.keyLength)
      guard let number = keys.firstIndex(of: key) else { continue }
      // Nobody notices damage to a record that was overwritten later.
      let isLatest = states.allSatisfy { $0[number] == states[0][number] } && !isInLog(key, replayed)
      let effect = Effect(lost: [number], isLossCertain: isLatest)
      // The chain between these parts is not read after a checkpoint.
      regions.append(Region(bytes: at..<at + 4, effect: effect))
      regions.append(Region(bytes: at + 8..<at + head.contentBytes, effect: effect))
      if head.flags.contains(.external) {
        let run = Int(image.bytes.load64(at + head.externalOffset))
        regions.append(Region(bytes: run..<run + head.valueLength, effect: effect))
      }
    }
  }

  private func isInLog(_ key: [UInt8], _ log: [Range<Int>]) -> Bool {
    log.contains { range in
      guard range.count < Image.pageBytes, range.count >= RecordHeader.byteCount,
        range.lowerBound % Layout.unitBytes != 0
      else { return false }
      let head = RecordHeader(image.bytes, at: range.lowerBound)
      return image.bytes.array(range.lowerBound + head.keyOffset, count: head.keyLength) == key
    }
  }

  func isInLargeValue(_ offset: Int) -> Bool {
    regions.contains { $0.bytes.count > Layout.largestInlineValue && $0.bytes.contains(offset) }
  }

  /// Whether a byte is in a page of the index or the space table.
  func isInIndex(_ offset: Int) -> Bool {
    regions.contains { $0.bytes.count == Image.pageBytes && $0.bytes.contains(offset) }
  }

  /// Whether a byte is in an old page or an old record, or after a superblock.
  func meansNothing(_ offset: Int) -> Bool {
    let isFixed = offset < Int(Layout.firstFreeUnit) * Layout.unitBytes
    if isFixed { return offset % Layout.unitBytes >= SharedState.byteCount }
    return !regions.contains { $0.bytes.contains(offset) }
  }

  func effect(at offset: Int) -> Effect {
    regions.first { $0.bytes.contains(offset) }?.effect ?? .none
  }
}

/// Changes of a store, and what it holds after them.
struct Script {
  struct Commit {
    var start: UInt64
    var end: UInt64
  }

  let store: Store
  var isClosed = false
  /// Whether each commit is durable before the next one. Then a crash may return to the state
  /// after any of them.
  var isDurable = false
  private(set) var commits: [Commit] = []
  private(set) var everyKey: [[UInt8]] = []
  private var contents: [[UInt8]: [UInt8]] = [:]
  /// The contents before each durable commit.
  private var earlier: [[[UInt8]: [UInt8]]] = []

  var states: [[[UInt8]: [UInt8]]] { earlier + [contents] }

  private var tail: UInt64 { store.core.memory.shared[.tail].offset }

  private mutating func commit(_ body: (inout Script) throws -> Void) rethrows {
    if isDurable { earlier.append(contents) }
    let start = tail
    try body(&self)
    commits.append(Commit(start: start, end: tail))
  }

  init(store: Store) { self.store = store }

  mutating func put(_ key: String, _ value: [UInt8], expires: Store.Expiry = .never) throws {
    try put(Array(key.utf8), value, expires: expires)
  }

  mutating func put(_ key: [UInt8], _ value: [UInt8], expires: Store.Expiry = .never) throws {
    try commit { script in
      let durability: Store.Durability = script.isDurable ? .onCommit : .none
      try script.store.put(value, forKey: key, expires: expires, durability: durability)
      script.everyKey.append(key)
      script.contents[key] = expires == .at(millisecondsSince1970: 1) ? nil : value
    }
  }

  mutating func remove(_ key: String) throws {
    try commit { script in
      try script.store.remove(key, durability: script.isDurable ? .onCommit : nil)
      script.contents[Array(key.utf8)] = nil
    }
  }

  /// Puts keys and values of every kind.
  mutating func fill() throws {
    for number in 0..<36 { try put("key \(number)", Array("value \(number)".utf8)) }
    try put([], Array("of the empty key".utf8))
    try put("empty value", [])
    try put(patterned(300, 3), Array("of a long key".utf8))
    try put("long value", patterned(2_500, 5))
    try put("expires in ages", Array("there".utf8), expires: .at(millisecondsSince1970: 1 << 50))
    try put("expired long ago", Array("gone".utf8), expires: .at(millisecondsSince1970: 1))
    try put("large", patterned(65_600, 7))
    for number in 30..<36 { try remove("key \(number)") }
  }

  mutating func change() throws {
    for number in 0..<4 { try put("key \(number)", Array("changed \(number)".utf8)) }
    try remove("key 20")
    try put("key 31", Array("back".utf8))
    try put("expires later", Array("there".utf8), expires: .at(millisecondsSince1970: 1 << 51))
  }

  mutating func changeTogether() throws {
    try commit { script in
      try script.store.transaction(durability: .onCommit) { transaction in
        try transaction.put("together 1", forKey: "key 5")
        try transaction.put("together", forKey: "new 1")
        try transaction.remove("key 6")
      }
      script.everyKey.append(Array("new 1".utf8))
      script.contents[Array("key 5".utf8)] = Array("together 1".utf8)
      script.contents[Array("new 1".utf8)] = Array("together".utf8)
      script.contents[Array("key 6".utf8)] = nil
    }
  }

  /// Puts keys with different tags that all have the same two lines of a bucket, which is far
  /// from full.
  mutating func addCrowd(_ count: Int) throws {
    let seed = store.core.memory.seed
    var tags: Set<UInt16> = []
    var number: UInt64 = 0
    while tags.count < count {
      let key = patterned(8, number)
      number += 1
      let hash = unsafe KeyHash(key.span.bytes, seed: seed)
      guard Set([hash.lines.first, hash.lines.second]) == [7, 40], tags.insert(hash.tag).inserted else {
        continue
      }
      try put(key, Array("crowd".utf8))
    }
  }
}

extension Store {
  /// Writes a checkpoint, whatever the log's length.
  func checkpoint() throws(Store.Error) {
    _ = try core.withWriteLock { turn throws(Store.Error) in try core.checkpoint(turn, .skip) }
  }
}

/// `count` bytes, which differ for each `stamp`.
func patterned(_ count: Int, _ stamp: UInt64) -> [UInt8] {
  (0..<count).map { index in
    index < 8
      ? UInt8(truncatingIfNeeded: stamp >> UInt64(8 * index))
      : UInt8(truncatingIfNeeded: (UInt64(index) &* 0x9e37_79b9 &+ stamp) >> 7)
  }
}
