/// Group commit: commits of several threads that one sync makes durable.
///
/// Each of them is in the log with its own END, and entered in the index as pending, as in
/// a transaction: those that follow see it, readers do not. All are published together
/// when they are durable.
extension Writer {
  /// Lets what follows join a group, a new one if there is none.
  mutating func joinGroup() {
    if group == nil { group = begin() }
  }

  /// Makes the group durable and publishes it.
  mutating func finishGroup() throws(StoreError) {
    guard let open = group else { return }
    group = nil
    guard open.last != nil else { return try log.sync(upTo: log.tail) }
    try publish(open, isDurable: true)
  }

  mutating func putInGroup(
    _ key: RawSpan, _ hash: KeyHash, _ value: RawSpan, _ request: PutRequest, _ group: Open
  ) throws(StoreError) -> Bool {
    var open = group
    defer { self.group = open }
    return try put(key, hash, value, request, in: &open, isEnd: true)
  }

  mutating func removeInGroup(_ key: RawSpan, _ hash: KeyHash, _ group: Open) throws(StoreError) -> Bool {
    var open = group
    defer { self.group = open }
    return try remove(key, hash, in: &open, isEnd: true)
  }

  /// What a key has now, commits of the group included; nil if it is absent.
  func current(_ hash: KeyHash, _ key: RawSpan) throws(StoreError) -> IndexReader.Match? {
    if let group { return try match(key, hash, group) }
    return try liveMatch(hash, key)
  }
}
