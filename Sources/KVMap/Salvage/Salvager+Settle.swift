/// Decides about keys whose newest record cannot simply be copied.
extension Salvager {
  /// Takes what the search found of keys about which the index says nothing.
  func takeFound(_ target: StoreCore) throws(Store.Error) {
    if lost.isEmpty { return }
    for (key, events) in found.keys {
      if !isLost(hash(key)) { continue }
      // The log after the checkpoint counts first. And the part of a bucket that can be read has
      // given its keys already.
      if recent.keys[key]?.isDecided == true { continue }
      if try target.holds(key) { continue }
      try settle(key, events, target)
    }
  }

  /// Takes what the log after the checkpoint says.
  func takeRecent(_ target: StoreCore) throws(Store.Error) {
    for (key, events) in recent.keys {
      if events.isDecided {
        try settle(key, events, target)
      } else {
        // Nothing in that log can be read; the index, or the search, may have had an older value.
        lose(key, events, hasOlder: try target.holds(key))
      }
    }
  }

  private func settle(
    _ key: [UInt8], _ events: KeyHistory.Events, _ target: StoreCore
  ) throws(Store.Error) {
    if let position = events.current { try take(position, target) }
    lose(key, events, hasOlder: events.current != nil)
  }

  /// Reports that the newest value of a key is lost, if it is.
  private func lose(_ key: [UInt8], _ events: KeyHistory.Events, hasOlder: Bool) {
    let (offset, reason, isCertain): (Int, String, Bool)
    if let newer = events.newerLost {
      (offset, reason, isCertain) = (newer.offset, newer.reason, true)
    } else if let newer = events.newerSuspect {
      (offset, reason, isCertain) = (newer.offset, newer.reason, newer.isIntact)
    } else {
      return
    }
    add(key, isCertain, at: offset, reason, hasOlder: hasOlder)
  }

  private func add(_ key: [UInt8]?, _ isCertain: Bool, at offset: Int, _ reason: String, hasOlder: Bool) {
    if hasOlder { report.olderValues += 1 }
    report.add(
      hasOlder ? .olderValue : .value, "record", at: offset, key: key, isKeyCertain: isCertain,
      "\(reason); " + (hasOlder ? "an older value is in its place" : "its value is lost"))
  }

  /// Looks for older values of keys whose slots point to records that cannot be read.
  func settleDamagedSlots(_ target: StoreCore) throws(Store.Error) {
    if damagedSlots.isEmpty { return }
    let foundByTag = Dictionary(grouping: found.keys.keys) { hash($0).tag }
    let recentByTag = Dictionary(grouping: recent.keys.keys) { hash($0).tag }
    for slot in damagedSlots {
      var fault = Store.VerificationReport()
      fault.add("record", at: slot.offset, slot.reason)
      report.add(faultsOf: fault)
      func keys(_ byTag: [UInt16: [[UInt8]]]) -> [[UInt8]] {
        slot.key.map { [$0] }
          ?? byTag[slot.place.slot.tag, default: []].filter { slot.place.mayHold(hash($0)) }
      }
      // The log after the checkpoint has a newer record than the one that is damaged.
      if keys(recentByTag).contains(where: { recent.keys[$0]?.isDecided == true }) { continue }
      try settle(slot, keys(foundByTag), target)
    }
  }

  private func settle(
    _ slot: DamagedSlot, _ candidates: [[UInt8]], _ target: StoreCore
  ) throws(Store.Error) {
    var older: [[UInt8]] = []
    for key in candidates {
      if found.keys[key]?.current != nil, try !target.holds(key) { older.append(key) }
    }
    // With several candidates it is unknown which key it was.
    guard older.count == 1, let position = found.keys[older[0]]?.current else {
      return add(slot.key, slot.isKeyCertain, at: slot.offset, slot.reason, hasOlder: false)
    }
    try take(position, target)
    add(older[0], slot.isKeyCertain, at: slot.offset, slot.reason, hasOlder: true)
  }

  private func hash(_ key: [UInt8]) -> KeyHash {
    unsafe KeyHash(key.span.bytes, seed: memory.seed)
  }
}

extension KeyHistory.Events {
  /// Whether a record that can be read says what the key's value is, or that it has none.
  var isDecided: Bool { value != nil || removed > 0 }
}

extension StoreCore {
  var recordCount: Int { Int(shared[.recordCount]) }

  /// Whether the key has a record, expired or not.
  func holds(_ key: [UInt8]) throws(Store.Error) -> Bool {
    let hash = unsafe KeyHash(key.span.bytes, seed: source.seed)
    return try read { memory throws(Store.Error) in
      try unsafe IndexReader(memory: memory).find(hash, key.span.bytes) != nil
    }
  }
}
