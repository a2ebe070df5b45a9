import Synchronization

/// The mapped store as its readers and writers see it at one moment: bytes, the store's
/// seed, and what this process knows about them. Trivial to copy.
///
/// How much is mapped, and where, may change while a copy is in use: then there is more
/// elsewhere, and what this copy names stays mapped for as long as its user is known to
/// be at it (see `StoreMapping`). Both are the same memory.
@safe
struct StoreMemory: @unchecked Sendable {
  // Sendable: `local` and `verified` are shared by all threads of the process and all atomics.
  let bytes: MappedBytes
  /// How much of the file is mapped there, in bytes.
  let mappedBytes: Int
  /// Superblocks and live page, at an address that stays the same while the store is open.
  let fixed: MappedBytes
  let seed: StoreSeed
  let local: UnsafeMutablePointer<LocalState>
  private let verified: VerifiedPages
  /// Which set of live words is meant: the public one, or recovery's.
  let liveOffset: Int

  fileprivate init(_ source: MemorySource) {
    // In this order: what is mapped is stored last, so the place is none of before.
    mappedBytes = unsafe source.local.pointee.mappedBytes.load(ordering: .acquiring)
    let view = unsafe source.local.pointee.view.load(ordering: .acquiring)
    bytes = unsafe view.pointee.bytes
    verified = unsafe view.pointee.verified
    fixed = source.fixed
    seed = source.seed
    unsafe local = source.local
    liveOffset = source.liveOffset
  }

  @inline(__always)
  var shared: SharedState { SharedState(bytes: fixed, start: liveOffset) }

  @inline(__always)
  func header(_ page: PageNumber) -> PageHeader { PageHeader(bytes: bytes, page: page) }

  @inline(__always)
  func node(_ page: PageNumber) -> NodePage { NodePage(bytes: bytes, page: page) }

  @inline(__always)
  func bucket(_ page: PageNumber) -> Bucket { Bucket(bytes: bytes, page: page) }

  /// Checks, at the first touch in this process, that a page is what it was when
  /// its checkpoint sealed it.
  ///
  /// The bytes of a page that no durable checkpoint has are in memory alone, and are
  /// not checked. But if the system failed to write such a page, it takes it for clean
  /// and may drop it; then it comes back as what the disk has, which is mostly a page of
  /// another epoch, or nothing. So its header is looked at each time.
  @inline(__always)
  func check(_ pointer: PagePointer, _ kind: PageKind, workingTag: UInt16) throws(StoreError) {
    let page = pointer.page
    if page.offset < Layout.firstFreeOffset || page.offset + Layout.pageBytes > mappedBytes {
      try outside(page.offset)
    }
    if pointer.epochTag == workingTag {
      let header = header(page)
      if header.epochTag == workingTag, header.kindByte == kind.rawValue { return }
      try notAsStored(page)
    }
    if verified.contains(page, tag: pointer.epochTag) { return }
    try verify(pointer, kind)
  }

  @inline(never)
  private func verify(_ pointer: PagePointer, _ kind: PageKind) throws(StoreError) {
    let header = header(pointer.page)
    guard header.kindByte == kind.rawValue else {
      throw .damaged(
        "index page", at: pointer.page.offset, "it is of another kind than the reference to it")
    }
    // Acquire: the working epoch that is loaded next is no older than the page.
    let epoch = Epoch(number: bytes.loadAcquire(pointer.page.offset + PageHeader.epoch))
    let durable = min(shared[.sealedEpoch].number, shared[.durableEpoch].number)
    if epoch.tag == pointer.epochTag, epoch.number > durable, epoch.number <= shared[.epoch].number {
      return
    }
    guard header.isIntact(seed: seed) else {
      throw .damaged("index page", at: pointer.page.offset, "its checksum does not match")
    }
    guard header.epoch.tag == pointer.epochTag else {
      throw .damaged(
        "index page", at: pointer.page.offset, "it is of another epoch than the reference to it")
    }
    verified.insert(pointer.page, tag: pointer.epochTag)
  }

  @inline(never)
  private func notAsStored(_ page: PageNumber) throws(StoreError) -> Never {
    throw .damaged(
      "index page", at: page.offset, "it is not what was stored there since the last checkpoint")
  }

  /// Checks a page that was sealed for sure, whatever the live page says.
  func checkSealed(_ pointer: PagePointer, _ kind: PageKind) throws(StoreError) {
    let page = pointer.page
    if page.offset < Layout.firstFreeOffset || page.offset + Layout.pageBytes > mappedBytes {
      try outside(page.offset)
    }
    let header = header(page)
    guard header.kindByte == kind.rawValue, header.epoch.tag == pointer.epochTag else {
      throw .damaged("index page", at: page.offset, "it is not the page the reference to it means")
    }
    if verified.contains(page, tag: pointer.epochTag) { return }
    guard header.isIntact(seed: seed) else {
      throw .damaged("index page", at: page.offset, "its checksum does not match")
    }
    verified.insert(page, tag: pointer.epochTag)
  }

  /// A reference points to where nothing can be: either the store has grown beyond what is
  /// mapped here, which the caller's retry will see, or the number is wrong.
  @inline(never)
  func outside(_ offset: Int) throws(StoreError) -> Never {
    let what = offset < Layout.firstFreeOffset ? "among what is fixed" : "beyond the end of the file"
    throw StoreError(
      .damaged,
      "a reference leads to offset \(UInt64(clamping: offset).hexadecimal), \(what); "
        + "run 'kvmap verify' to list all damage, and keep a copy of the file")
  }
}

/// Where the present `StoreMemory` of a store is had. Trivial to copy; valid as long as the
/// `StoreMapping` it comes from.
@safe
struct MemorySource: @unchecked Sendable {
  // Sendable: as `StoreMemory`.
  let local: UnsafeMutablePointer<LocalState>
  let fixed: MappedBytes
  let seed: StoreSeed
  var liveOffset = SharedState.publicOffset

  /// The store as it is mapped now.
  @inline(__always)
  var memory: StoreMemory { StoreMemory(self) }

  /// The words that are shared, which never move.
  @inline(__always)
  var shared: SharedState { SharedState(bytes: fixed, start: liveOffset) }

  /// The same with recovery's own live words.
  var shadow: MemorySource {
    var copy = self
    copy.liveOffset = SharedState.shadowOffset
    return copy
  }
}

/// A piece of address space in which the beginning of a store is mapped.
struct MappedView {
  let bytes: MappedBytes
  let verified: VerifiedPages
}

/// Which pages this process has found intact.
///
/// For each page, 7 bits of the epoch in which it was written when it was last found
/// intact, and a mark. One byte, so that the table of a large store stays in the
/// processor's cache. A page that was reused without being looked at for a multiple of
/// 128 epochs passes unchecked; it was then written, and sealed, by a process that ran
/// beside this one.
@safe
struct VerifiedPages: @unchecked Sendable {
  // Sendable: the table is atomics.
  private let marks: UnsafeMutablePointer<Atomic<UInt8>>
  /// Further pages are checked at each touch.
  private let count: Int

  /// `table` is zeroed memory for `count` pages that outlives this value.
  init(table: UnsafeMutableRawPointer, count: Int) {
    unsafe marks = unsafe table.bindMemory(to: Atomic<UInt8>.self, capacity: count)
    self.count = count
  }

  @inline(__always)
  func contains(_ page: PageNumber, tag: UInt16) -> Bool {
    let number = Int(page.number)
    guard number < count else { return false }
    return unsafe marks[number].load(ordering: .relaxed) == Self.mark(tag)
  }

  func insert(_ page: PageNumber, tag: UInt16) {
    let number = Int(page.number)
    guard number < count else { return }
    unsafe marks[number].store(Self.mark(tag), ordering: .relaxed)
  }

  /// Takes over what another, smaller table says.
  func insert(all other: VerifiedPages) {
    for number in 0..<min(count, other.count) {
      unsafe marks[number].store(other.marks[number].load(ordering: .relaxed), ordering: .relaxed)
    }
  }

  @inline(__always)
  private static func mark(_ tag: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: tag) | 0x80 }
}

/// What one process knows of an open store and shares among its threads.
@safe
struct LocalState: ~Copyable {
  /// How much of the file is mapped, in bytes. Stored after `view` when that changes, and
  /// loaded before it.
  let mappedBytes = Atomic<Int>(0)
  /// Where it is mapped.
  let view: Atomic<UnsafePointer<MappedView>>
  /// Not 0: part of the file could not be read or written.
  let lost: UnsafeMutablePointer<Atomic<UInt32>>
  /// The lowest epoch that this handle pins.
  let lowestPin = Atomic<UInt64>(.max)
  /// Readers inside a call.
  let readers = ReaderGate()

  init(view: UnsafePointer<MappedView>, lost: UnsafeMutablePointer<Atomic<UInt32>>) {
    unsafe self.view = unsafe Atomic(view)
    unsafe self.lost = lost
  }

  /// Whether the mapping was lost: to be asked after an access, with an acquire fence
  /// between after a load, a sequentially consistent one after a store.
  @inline(__always)
  var isLost: Bool { unsafe lost.pointee.load(ordering: .relaxed) != 0 }
}
