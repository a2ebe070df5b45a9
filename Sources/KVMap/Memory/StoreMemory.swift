import Synchronization

/// A view of the mapped store at one moment, for readers and writers: the bytes, the store's
/// seed, and what this process knows about the pages. Trivial to copy.
///
/// More may be mapped, also at another address, while a copy of this value is in use. The old
/// address stays mapped for as long as its user is counted as a reader or holds it (see
/// `StoreMapping`).
@safe
struct StoreMemory: @unchecked Sendable {
  // Sendable: the pointers point to atomics and to what never changes.
  let bytes: MappedBytes
  /// How much of the file is mapped at `bytes`, in bytes.
  let mappedBytes: Int
  private let view: UnsafePointer<MappedView>
  private let constants: UnsafePointer<StoreConstants>

  @inline(__always)
  fileprivate init(_ source: MemorySource) {
    let local = source.local
    // First the length, then the view. `adopt` stores them in the other order, so at least
    // `mappedBytes` are mapped in this view.
    mappedBytes = unsafe local.pointer.pointee.mappedBytes.load(ordering: .acquiring)
    unsafe view = local.pointer.pointee.view.load(ordering: .acquiring)
    bytes = unsafe view.pointee.bytes
    unsafe constants = source.constants
  }

  /// Superblocks and shared state, at an address that stays the same while the store is open.
  @inline(__always)
  var fixed: MappedBytes { unsafe constants.pointee.fixed }

  @inline(__always)
  var seed: StoreSeed { unsafe constants.pointee.seed }

  @inline(__always)
  var local: LocalStateReference { unsafe constants.pointee.local }

  @inline(__always)
  private var verified: VerifiedPages { unsafe view.pointee.verified }

  @inline(__always)
  var shared: SharedState { unsafe constants.pointee.shared }

  @inline(__always)
  func header(_ page: PageNumber) -> PageHeader { PageHeader(bytes: bytes, page: page) }

  @inline(__always)
  func node(_ page: PageNumber) -> NodePage { NodePage(bytes: bytes, page: page) }

  @inline(__always)
  func bucket(_ page: PageNumber) -> Bucket { Bucket(bytes: bytes, page: page) }

  /// Checks, when this process first uses a page, that the page is what it was when it was
  /// sealed.
  ///
  /// A page that is in no durable checkpoint exists only in memory, and its contents are not
  /// checked. But if the system failed to write such a page, it treats the page as clean and may
  /// drop it. Then the page reads as what the disk has, mostly a page of another epoch, or
  /// nothing. So its kind and its epoch are checked each time.
  ///
  /// - Throws: `damaged`.
  @inline(__always)
  func check(_ pointer: PagePointer, _ kind: PageKind, workingTag: UInt16) throws(Store.Error) {
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
  private func verify(_ pointer: PagePointer, _ kind: PageKind) throws(Store.Error) {
    let header = header(pointer.page)
    guard header.kindByte == kind.rawValue else {
      throw .damaged(
        "index page", at: pointer.page.offset, "it is of another kind than the reference to it says")
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
        "index page", at: pointer.page.offset, "it is of another epoch than the reference to it says")
    }
    verified.insert(pointer.page, tag: pointer.epochTag)
  }

  @inline(never)
  private func notAsStored(_ page: PageNumber) throws(Store.Error) -> Never {
    throw .damaged(
      "index page", at: page.offset, "it is not what was stored there since the last checkpoint")
  }

  /// Checks a page that is certainly sealed, whatever the shared state says.
  func checkSealed(_ pointer: PagePointer, _ kind: PageKind) throws(Store.Error) {
    let page = pointer.page
    if page.offset < Layout.firstFreeOffset || page.offset + Layout.pageBytes > mappedBytes {
      try outside(page.offset)
    }
    let header = header(page)
    guard header.kindByte == kind.rawValue, header.epoch.tag == pointer.epochTag else {
      throw .damaged("index page", at: page.offset, "it is not the page that the reference to it names")
    }
    if verified.contains(page, tag: pointer.epochTag) { return }
    guard header.isIntact(seed: seed) else {
      throw .damaged("index page", at: page.offset, "its checksum does not match")
    }
    verified.insert(page, tag: pointer.epochTag)
  }

  /// Throws for a reference to a place where nothing can be. Either the store has grown beyond
  /// what is mapped here, and the caller's retry will succeed, or the reference is wrong.
  @inline(never)
  func outside(_ offset: Int) throws(Store.Error) -> Never {
    let what = offset < Layout.firstFreeOffset ? "before any page or record" : "beyond the end of the file"
    throw Store.Error(
      .damaged,
      "a reference points to offset \(UInt64(clamping: offset).hexadecimal), \(what); "
        + "run 'kvmap verify' to list all damage, and keep a copy of the file")
  }
}

/// What stays the same while a store is mapped. Small values that are passed everywhere only
/// point to it.
struct StoreConstants {
  /// Superblocks and shared state, at an address that never changes.
  let fixed: MappedBytes
  let seed: StoreSeed
  let local: LocalStateReference
  /// The shared state to use: the public one, or the shadow that recovery builds.
  let shared: SharedState

  init(fixed: MappedBytes, seed: StoreSeed, local: LocalStateReference, sharedOffset: Int) {
    self.fixed = fixed
    self.seed = seed
    self.local = local
    shared = SharedState(bytes: fixed, start: sharedOffset)
  }
}

/// Gives the current `StoreMemory` of a store at any time. Trivial to copy; valid as long as the
/// `StoreMapping` it comes from.
@safe
struct MemorySource: @unchecked Sendable {
  // Sendable: for the same reason as `StoreMemory`.

  /// The constants with the public shared state; those with the shadow follow.
  fileprivate let constants: UnsafePointer<StoreConstants>

  /// - Parameter constants: those with the public shared state, and after them those with the
  ///   shadow.
  init(_ constants: UnsafePointer<StoreConstants>) { unsafe self.constants = constants }

  @inline(__always)
  var local: LocalStateReference { unsafe constants.pointee.local }
  @inline(__always)
  var fixed: MappedBytes { unsafe constants.pointee.fixed }
  @inline(__always)
  var seed: StoreSeed { unsafe constants.pointee.seed }

  /// The store as it is mapped now.
  @inline(__always)
  var memory: StoreMemory { StoreMemory(self) }

  /// The shared state, whose address never changes.
  @inline(__always)
  var shared: SharedState { unsafe constants.pointee.shared }

  /// The same with the shadow, the shared state that recovery builds.
  var shadow: MemorySource { unsafe MemorySource(constants + 1) }
}

/// A place in which a store is mapped, as readers load it.
struct MappedView {
  let bytes: MappedBytes
  let verified: VerifiedPages
}

/// The pages that this process has found intact.
///
/// The table has one byte for each page, so that the table of a large store stays in the
/// processor's cache: a mark, and 7 bits of the epoch in which the page was written when it was
/// last found intact. A page passes unchecked if it was reused and next looked at after exactly a
/// multiple of 128 epochs; a process that ran beside this one wrote and sealed it then.
@safe
struct VerifiedPages: @unchecked Sendable {
  // Sendable: the table is atomics.
  private let marks: UnsafeMutablePointer<Atomic<UInt8>>
  /// How many pages the table has; pages after them are checked at each use.
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

  /// Copies the marks of another, smaller table.
  func insert(all other: VerifiedPages) {
    for number in 0..<min(count, other.count) {
      unsafe marks[number].store(other.marks[number].load(ordering: .relaxed), ordering: .relaxed)
    }
  }

  @inline(__always)
  private static func mark(_ tag: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: tag) | 0x80 }
}

/// Where the `LocalState` of an open store is had; valid as long as its `StoreMapping`.
@safe
struct LocalStateReference: @unchecked Sendable {
  // Sendable: all of it is atomics.
  fileprivate let pointer: UnsafeMutablePointer<LocalState>

  init(_ pointer: UnsafeMutablePointer<LocalState>) { unsafe self.pointer = pointer }

  /// As ``LocalState/isLost``.
  @inline(__always)
  var isLost: Bool { unsafe pointer.pointee.isLost }

  /// Readers inside a call.
  @inline(__always)
  var readers: ReaderGate { _read { yield unsafe pointer.pointee.readers } }

  /// The lowest epoch that this handle pins.
  var lowestPin: UInt64 {
    get { unsafe pointer.pointee.lowestPin.load(ordering: .sequentiallyConsistent) }
    nonmutating set { unsafe pointer.pointee.lowestPin.store(newValue, ordering: .sequentiallyConsistent) }
  }
}

/// What one process knows of an open store and shares among its threads.
@safe
struct LocalState: ~Copyable {
  /// How much of the file is mapped, in bytes. Stored after `view` when that changes, and
  /// loaded before it.
  let mappedBytes = Atomic<Int>(0)
  /// The place in which it is mapped.
  let view: Atomic<UnsafePointer<MappedView>>
  /// Not 0 if part of the file could not be read or written.
  let lost: UnsafeMutablePointer<Atomic<UInt32>>
  /// The lowest epoch that this handle pins.
  let lowestPin = Atomic<UInt64>(.max)
  /// Readers inside a call.
  let readers = ReaderGate()

  init(view: UnsafePointer<MappedView>, lost: UnsafeMutablePointer<Atomic<UInt32>>) {
    unsafe self.view = unsafe Atomic(view)
    unsafe self.lost = lost
  }

  /// Whether the mapping was lost. To be asked after an access, with a fence in between: an
  /// acquire fence after a load, a sequentially consistent one after a store.
  @inline(__always)
  var isLost: Bool { unsafe lost.pointee.load(ordering: .relaxed) != 0 }
}
