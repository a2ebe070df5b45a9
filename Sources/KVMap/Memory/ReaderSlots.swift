/// The reader slots: where handles say which epochs their readers look at, without a system call.
///
/// A slot is a cache line in the page of the shared state. It belongs to the handle that has its
/// lock (see ``StoreLocks/takeReaderSlot()``), so the system frees it when the process ends. The
/// first word is the process. Each other word pins one epoch for a number of readers: `epoch << 16
/// | readers`. Readers of a later epoch take another word, so each word is free again once the
/// readers of its epoch have left.
struct ReaderSlots {
  let bytes: MappedBytes

  static let count = 48
  private static let lineBytes = 64
  private static let pinWords = 7
  private static let readerBits: UInt64 = 16
  private static let readerMask: UInt64 = 1 << readerBits - 1
  private static let epochMask: UInt64 = .max >> readerBits

  /// Half of the slots follow each of the two sets of words of the shared state.
  private static func offset(_ slot: Int) -> Int {
    let half = count / 2
    let start = slot < half ? SharedState.publicOffset : SharedState.shadowOffset
    return start + SharedState.byteCount + slot % half * lineBytes
  }

  /// Makes a slot that this handle has just taken its own. A process that died may have left pins
  /// in it.
  func clear(_ slot: Int, process: Int32) {
    let line = Self.offset(slot)
    for word in 1...Self.pinWords { bytes.storeRelease(0, line + word * 8) }
    bytes.storeRelease(UInt64(UInt32(bitPattern: process)), line)
  }

  /// Pins an epoch in the slot of this handle. The caller compares it with the pin floor afterwards.
  ///
  /// - Returns: where, for ``unpin(_:)``; nil if all words are taken.
  @inline(__always)
  func pin(_ epoch: Epoch, in slot: Int) -> Int? {
    let line = Self.offset(slot)
    let epoch = epoch.number & Self.epochMask
    let first = ReaderGate.stripe
    for attempt in 0..<2 * Self.pinWords {
      let offset = line &+ 8 &+ (first &+ attempt) % Self.pinWords &* 8
      let word = bytes.loadRelaxed(offset)
      let readers = word & Self.readerMask
      guard readers == 0 || (word >> Self.readerBits == epoch && readers < Self.readerMask) else { continue }
      if bytes.exchange(word, for: epoch << Self.readerBits | (readers &+ 1), offset) { return offset }
    }
    return nil
  }

  /// Undoes one call of `pin`.
  @inline(__always)
  func unpin(_ offset: Int) {
    while true {
      let word = bytes.loadRelaxed(offset)
      // After this handle was closed, another process may have cleared the page.
      if word & Self.readerMask == 0 { return }
      if bytes.exchange(word, for: word &- 1, offset) { return }
    }
  }

  /// The lowest epoch pinned in slots of other handles, and the process that pins it. `isTaken`
  /// says whether another handle has a slot.
  func lowestPin(
    _ isTaken: (Int) throws(Store.Error) -> Bool
  ) throws(Store.Error) -> (epoch: Epoch, process: Int32)? {
    var lowest: (epoch: Epoch, process: Int32)?
    for slot in 0..<Self.count {
      guard let epoch = lowestPin(of: slot), epoch < lowest?.epoch ?? Epoch(number: .max) else { continue }
      // Asked after the look at the words: whoever pins has the lock before.
      guard try isTaken(slot) else { continue }
      lowest = (epoch, Int32(truncatingIfNeeded: bytes.loadRelaxed(Self.offset(slot))))
    }
    return lowest
  }

  /// The lowest epoch pinned in a slot; nil if there is none.
  func lowestPin(of slot: Int) -> Epoch? {
    var lowest: Epoch?
    for word in 1...Self.pinWords {
      // Sequentially consistent, like the store of the pin floor before it and the two steps of a
      // reader: either this look sees the pin, or the reader sees the floor.
      let word = bytes.loadSequentiallyConsistent(Self.offset(slot) + word * 8)
      if word & Self.readerMask == 0 { continue }
      let epoch = Epoch(number: word >> Self.readerBits)
      lowest = min(lowest ?? epoch, epoch)
    }
    return lowest
  }
}
