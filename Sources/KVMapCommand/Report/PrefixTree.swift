/// The prefixes that many keys have in common, on two levels, and how much the keys with each of them take.
///
/// Some keys show which prefixes there are; then all keys are counted. A prefix ends after one of `separators` where
/// many keys have some, such as `user/` or `user/17/`, else after any character by which keys differ.
struct PrefixTree {
  struct Node {
    let prefix: [UInt8]
    fileprivate(set) var records = 0
    fileprivate(set) var bytes = 0
    fileprivate(set) var children: [Node] = []

    /// What keys have that begin with this and with none of the children.
    var others: (records: Int, bytes: Int) {
      children.reduce((records, bytes)) { ($0.0 - $1.records, $0.1 - $1.bytes) }
    }
  }

  /// All keys; its children are sorted by their prefixes, and none of them begins with another.
  private(set) var root = Node(prefix: [])

  private static let separators = Array("/:.-_|,; \0\t#@=".utf8)
  private static let mostChildren = 40
  /// A prefix of fewer than this share of the keys, one in so many, is not shown.
  private static let leastShare = 100

  init(_ keys: [[UInt8]] = []) {
    let sorted = keys.sorted { $0.lexicographicallyPrecedes($1) }
    let least = max(2, sorted.count / Self.leastShare)
    root.children = Self.groups(sorted[...], least).map { prefix, members in
      var node = Node(prefix: prefix)
      node.children = Self.groups(members, least).map { Node(prefix: $0.prefix) }
      return node
    }
  }

  mutating func count(_ key: RawSpan, bytes: Int) {
    Self.count(key.beginning(KeySample.longest), bytes, in: &root)
  }

  private static func count(_ key: [UInt8], _ bytes: Int, in node: inout Node) {
    node.records += 1
    node.bytes += bytes
    // The last prefix that is not after the key is the only one that it can begin with.
    var (low, high) = (0, node.children.count)
    while low < high {
      let middle = (low + high) / 2
      if key.lexicographicallyPrecedes(node.children[middle].prefix) {
        high = middle
      } else {
        low = middle + 1
      }
    }
    guard low > 0, key.starts(with: node.children[low - 1].prefix) else { return }
    count(key, bytes, in: &node.children[low - 1])
  }

  // MARK: Finding prefixes

  private typealias Group = (prefix: [UInt8], members: ArraySlice<[UInt8]>)

  /// The prefixes of at least `least` of the keys, which are sorted and begin with something in common.
  private static func groups(_ keys: ArraySlice<[UInt8]>, _ least: Int) -> [Group] {
    guard keys.count >= least, let first = keys.first, let last = keys.last else { return [] }
    let common = zip(first, last).prefix { $0 == $1 }.count
    let bySeparator = groups(keys, least) { key in
      key[common...].firstIndex { separators.contains($0) }.map { $0 + 1 }
    }
    let covered = bySeparator.reduce(0) { $0 + $1.members.count }
    if covered * 2 >= keys.count { return bySeparator }
    return groups(keys, least) { key in
      var end = common + 1
      if end > key.count { return nil }
      // Not within a character.
      while end < key.count, key[end] & 0xC0 == 0x80, key[common] >= 0xC0, end - common < 4 { end += 1 }
      return end
    }
  }

  /// - Parameter end: where the prefix of a key ends; nil if it has none.
  private static func groups(
    _ keys: ArraySlice<[UInt8]>, _ least: Int, _ end: ([UInt8]) -> Int?
  ) -> [Group] {
    var found: [Group] = []
    var start = keys.startIndex
    while start < keys.endIndex {
      let length = end(keys[start])
      let prefix = length.map { keys[start][..<$0] } ?? []
      var next = start + 1
      while next < keys.endIndex, length != nil, keys[next].starts(with: prefix) { next += 1 }
      if length != nil, next - start >= least { found.append((Array(prefix), keys[start..<next])) }
      start = next
    }
    // A key that is a whole prefix of another has ended before: no prefix begins with another.
    let largest = found.sorted { $0.members.count > $1.members.count }.prefix(mostChildren)
    return largest.sorted { $0.prefix.lexicographicallyPrecedes($1.prefix) }
  }
}
