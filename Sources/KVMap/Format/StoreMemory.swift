import Synchronization

/// The mapped store as its readers and writers see it: bytes, the store's seed,
/// and what this process knows about them. Trivial to copy.
@safe
struct StoreMemory: @unchecked Sendable {
  // Sendable: `local` is shared by all threads of the process and all atomics.
  let bytes: MappedBytes
  let seed: StoreSeed
  let local: UnsafeMutablePointer<LocalState>
  /// Which set of live words is meant: the public one, or recovery's.
  var liveOffset = LivePage.publicOffset

  @inline(__always)
  var live: LivePage { LivePage(bytes: bytes, start: liveOffset) }

  /// The same with recovery's own live words.
  var shadow: StoreMemory {
    var copy = self
    copy.liveOffset = LivePage.shadowOffset
    return copy
  }

  /// How much of the file this process has mapped, in bytes.
  @inline(__always)
  var mappedBytes: Int { unsafe local.pointee.mappedBytes.load(ordering: .acquiring) }

  /// Called when more has been mapped.
  func noteMapped(_ bytes: Int) {
    _ = unsafe local.pointee.mappedBytes.max(bytes, ordering: .acquiringAndReleasing)
  }

  /// Called when the end of the file has been cut off.
  func noteCutOff(_ bytes: Int) {
    unsafe local.pointee.mappedBytes.store(bytes, ordering: .releasing)
  }

  /// Checks, at the first touch in this process, that a page is what it was when
  /// its checkpoint sealed it. Pages not sealed yet are not checked: their bytes
  /// have not left memory.
  @inline(__always)
  func check(_ pointer: PagePointer, _ kind: PageKind, workingTag: UInt16) throws(StoreError) {
    let page = pointer.page
    if page.offset < Layout.firstFreeOffset || page.offset + Layout.pageBytes > mappedBytes {
      try outside(page.offset)
    }
    if pointer.epochTag == workingTag { return }
    if unsafe local.pointee.isVerified(page, tag: pointer.epochTag) { return }
    try verify(pointer, kind)
  }

  @inline(never)
  private func verify(_ pointer: PagePointer, _ kind: PageKind) throws(StoreError) {
    let header = PageHeader(bytes: bytes, page: pointer.page)
    guard header.kindByte == kind.rawValue else {
      throw .damaged(
        "index page", at: pointer.page.offset, "it is of another kind than the reference to it")
    }
    // Acquire: the working epoch that is loaded next is no older than the page.
    let epoch = Epoch(number: bytes.loadAcquire(pointer.page.offset + PageHeader.epoch))
    if epoch.tag == pointer.epochTag, epoch.number > live[LivePage.sealedEpoch],
      epoch.number <= live[LivePage.epoch]
    {
      return
    }
    guard header.isIntact(seed: seed) else {
      throw .damaged("index page", at: pointer.page.offset, "its checksum does not match")
    }
    guard header.epoch.tag == pointer.epochTag else {
      throw .damaged(
        "index page", at: pointer.page.offset, "it is of another epoch than the reference to it")
    }
    unsafe local.pointee.markVerified(pointer.page, tag: pointer.epochTag)
  }

  /// A reference leads to where nothing can be: either the store has grown beyond what is
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

/// What one process knows of an open store and shares among its threads.
@safe
struct LocalState: ~Copyable {
  let mappedBytes = Atomic<Int>(0)
  /// The lowest epoch that this handle pins.
  let lowestPin = Atomic<UInt64>(.max)

  /// For each page, 7 bits of the epoch in which it was written when it was last
  /// found intact, and a mark. One byte, so that the table of a large store stays
  /// in the processor's cache. A page that was reused without being looked at for
  /// a multiple of 128 epochs passes unchecked; it was then written, and sealed,
  /// by a process that ran beside this one.
  private let verified: UnsafeMutablePointer<Atomic<UInt8>>
  private let verifiedCount: Int

  /// Readers inside a call, counted by parity and stripe (see `ReaderGate`).
  let readers: ReaderGate

  /// `verified` is zeroed memory for `count` pages that outlives this value.
  init(verified: UnsafeMutableRawPointer, count: Int) {
    unsafe self.verified = unsafe verified.bindMemory(to: Atomic<UInt8>.self, capacity: count)
    verifiedCount = count
    readers = ReaderGate()
  }

  @inline(__always)
  func isVerified(_ page: PageNumber, tag: UInt16) -> Bool {
    let number = Int(page.number)
    guard number < verifiedCount else { return false }
    return unsafe verified[number].load(ordering: .relaxed) == Self.mark(tag)
  }

  func markVerified(_ page: PageNumber, tag: UInt16) {
    let number = Int(page.number)
    guard number < verifiedCount else { return }
    unsafe verified[number].store(Self.mark(tag), ordering: .relaxed)
  }

  @inline(__always)
  private static func mark(_ tag: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: tag) | 0x80 }
}
