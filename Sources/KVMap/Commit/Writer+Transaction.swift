/// Transactions: several changes in one commit.
///
/// Records are appended without END as the changes are made, and the latest record of each key is
/// entered in the index as a pending slot, which only the writer looks at. The commit rewrites
/// the last record with END and then turns pending slots into published ones. That needs no space
/// and cannot fail.
extension Writer {
  /// Begins a transaction at the end of the log, or of the group.
  mutating func begin() -> PendingTransaction {
    if group == nil { notes.truncate(to: 0) }
    let tail = group?.transaction.tail ?? log.tail
    return PendingTransaction(
      mark: log.mark(tail), start: tail, tail: tail, firstNote: notes.count,
      followsOthers: group?.transaction.last != nil)
  }

  /// The record of a key as the transaction sees it; nil if the key is absent, removed or
  /// expired.
  func match(
    _ key: RawSpan, _ hash: KeyHash, _ open: PendingTransaction
  ) throws(Store.Error) -> IndexReader.Match? {
    let reader = IndexReader(memory: memory)
    let bucket = try reader.bucket(hash, workingTag: index.epoch.tag)
    try memory.check(bucket, .bucket, workingTag: index.epoch.tag)
    if open.last != nil || open.followsOthers,
      let pending = try index.find(hash, key, in: bucket.page, pending: true)
    {
      if pending.header.kind == .delete { return nil }
      return try isExpired(pending) ? nil : pending
    }
    return try liveMatch(hash, key)
  }

  /// Adds a put to the transaction. Returns false if the condition is not met.
  mutating func put(
    _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan, _ request: PutRequest,
    in open: inout PendingTransaction,
    isEnd: Bool = false
  ) throws(Store.Error) -> Bool {
    try reserveAddressSpace(for: value.byteCount)
    if request.condition != .always, try !isMet(request.condition, by: match(key, hash, open)) {
      return false
    }
    let fields = LogWriter.Fields(expiry: request.expiry, version: request.version, isEnd: isEnd)
    try append(.put, key, hash, value, fields, &open)
    return true
  }

  /// Adds a removal to the transaction. Returns false if the key is absent.
  mutating func remove(
    _ key: RawSpan, _ hash: KeyHash, in open: inout PendingTransaction, isEnd: Bool = false
  ) throws(Store.Error) -> Bool {
    try reserveAddressSpace(for: 0)
    guard try match(key, hash, open) != nil else { return false }
    try append(.delete, key, hash, RawSpan(), LogWriter.Fields(isEnd: isEnd), &open)
    return true
  }

  private mutating func append(
    _ kind: RecordKind, _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan,
    _ initialFields: LogWriter.Fields, _ open: inout PendingTransaction
  ) throws(Store.Error) {
    try taking(for: kind == .delete ? .removing : .adding) { writer throws(Store.Error) in
      if kind != .delete { try writer.ensureReserve() }
      try writer.appendPending(kind, key, hash, value, initialFields, &open)
    }
  }

  private mutating func appendPending(
    _ kind: RecordKind, _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan,
    _ initialFields: LogWriter.Fields, _ open: inout PendingTransaction
  ) throws(Store.Error) {
    var fields = initialFields
    var tail = open.tail
    let mark = log.mark(tail)
    do {
      let bucket = try writableBucket(hash)
      let found = try index.findBoth(hash, key, in: bucket.page)
      if let old = found.published { try prepareRelease(old) }
      if let pending = found.pending, pending.header.flags.contains(.external) {
        try space.makeWritable(try pending.record(memory).extent())
      }
      let slot =
        if let pending = found.pending { pending.slotOffset } else {
          try index.emptySlot(hash, bucket, space: &space)
        }
      fields.external = try writeExtent(value)
      let size = LogWriter.header(
        kind, fields, sequence: tail.sequence, keyLength: key.byteCount, valueLength: value.byteCount
      ).storedBytes
      try makeRoom(size, &tail)
      open.last = (tail.position, tail.chain)
      let start = tail.position
      _ = log.append(kind, fields, key: key, value: value, &tail)
      memory.bytes.storeRelease(
        Slot(tag: hash.tag, position: start, pending: true).bits, slot)
      notes.append(PendingNotes.Note(start, hash, slotOffset: slot, old: found.published))
      open.tail = tail
    } catch {
      if let extent = fields.external { try space.releaseUnits(Position(offset: extent.offset).unit) }
      try log.rollBack(to: mark, space: &space)
      throw error
    }
  }

  /// Commits the transaction: now, or together with the open group.
  mutating func commit(_ open: consuming PendingTransaction, isDurable: Bool) throws(Store.Error) {
    guard let last = open.last else {
      if isDurable, group == nil { try log.sync(upTo: log.tail) }
      return
    }
    open.tail.chain = log.rewriteWithEnd(at: last.position, chainBefore: last.chainBefore)
    if let group {
      open.start = group.transaction.start
      open.firstNote = group.transaction.firstNote
      open.mark = group.transaction.mark
      group.transaction = open
    } else {
      try publish(open, isDurable: isDurable)
    }
  }

  /// Publishes records that are in the log, in their order. With `isDurable`, syncs the log
  /// first.
  mutating func publish(_ open: PendingTransaction, isDurable: Bool) throws(Store.Error) {
    try enterLog(open.tail, isDurable: isDurable)
    try finishRecords(open, isCommitted: true)
    complete(open.tail)
  }

  /// Undoes the transaction.
  mutating func abort(_ open: consuming PendingTransaction) throws(Store.Error) {
    guard open.last != nil else { return }
    isHalfDone = true
    try finishRecords(open, isCommitted: false)
    notes.truncate(to: open.firstNote)
    if let others = group?.transaction {
      var walk = log.walk(from: others.start.position, upTo: others.tail.position)
      while let record = try walk.next() { try enterAgain(record) }
    }
    try log.rollBack(to: open.mark, space: &space)
    isHalfDone = false
  }

  /// Enters a record of the group as pending again, since the transaction that is undone has
  /// taken its slot.
  private mutating func enterAgain(_ record: Record) throws(Store.Error) {
    guard record.kind == .put || record.kind == .delete else { return }
    let key = record.key
    let hash = KeyHash(key, seed: memory.seed)
    let bucket = try index.writableBucket(hash, space: &space)
    let pending = try index.find(hash, key, in: bucket.page, pending: true)
    let slot =
      if let pending { pending.slotOffset } else { try index.emptySlot(hash, bucket, space: &space) }
    memory.bytes.storeRelease(Slot(tag: hash.tag, position: record.position, pending: true).bits, slot)
  }

  /// Publishes the records of the transaction, or empties their pending slots.
  private mutating func finishRecords(
    _ open: PendingTransaction, isCommitted: Bool
  ) throws(Store.Error) {
    var next = open.firstNote
    var walk = log.walk(from: open.start.position, upTo: open.tail.position)
    while let record = try walk.next() {
      guard record.kind == .put || record.kind == .delete else { continue }
      try finish(record, notes.take(&next, of: record.position), isCommitted: isCommitted)
    }
  }

  private mutating func finish(
    _ record: Record, _ note: PendingNotes.Note?, isCommitted: Bool
  ) throws(Store.Error) {
    let hash = note?.hash ?? record.keyHash
    let bucket = try IndexReader(memory: memory).bucket(hash, workingTag: index.epoch.tag).page
    // Without a slot, a later record of the same key has taken it over, or the record is finished.
    let slot = try pendingSlot(of: record, hash, in: bucket, note)
    if slot == nil || !isCommitted, record.isExternal {
      try space.releaseUnits(try record.extent().first)
    }
    guard let slot else { return }
    guard isCommitted else {
      memory.bytes.storeRelease(Slot.empty.bits, slot)
      return
    }
    let old = try publishedMatch(of: record, hash, in: bucket, note)
    if record.kind == .put {
      // Uses the published slot if there is one, so that the key is never absent.
      try publish(Prepared(slotOffset: old?.slotOffset ?? slot, old: old), hash, record)
    } else if let old {
      try unpublish(Prepared(slotOffset: old.slotOffset, old: old))
    }
    if old != nil || record.kind == .delete { memory.bytes.storeRelease(Slot.empty.bits, slot) }
    if record.kind == .delete { try mergeAfterRemoval(hash) }
  }

  /// The offset of the pending slot that points to a record; nil if none does.
  @inline(__always)
  private func pendingSlot(
    of record: Record, _ hash: KeyHash, in bucket: PageNumber, _ note: PendingNotes.Note?
  ) throws(Store.Error) -> Int? {
    let bits = Slot(tag: hash.tag, position: record.position, pending: true).bits
    if let note {
      let offset = bucket.offset + Int(note.place)
      if memory.bytes.loadRelaxed(offset) == bits { return offset }
    }
    let pending = try index.find(hash, record.key, in: bucket, pending: true)
    return pending?.position == record.position ? pending?.slotOffset : nil
  }

  /// The published record that one of the transaction replaces; nil if there is none.
  @inline(__always)
  private func publishedMatch(
    of record: Record, _ hash: KeyHash, in bucket: PageNumber, _ note: PendingNotes.Note?
  ) throws(Store.Error) -> IndexReader.Match? {
    if let note {
      // Until now nothing has published the key.
      if note.old.isEmpty { return nil }
      let offset = bucket.offset + Int(note.oldPlace)
      if memory.bytes.loadRelaxed(offset) == note.old.bits {
        return IndexReader.Match(
          try Record(memory, at: note.old.position), slotOffset: offset, slot: note.old)
      }
    }
    return try index.find(hash, record.key, in: bucket, pending: false)
  }
}
