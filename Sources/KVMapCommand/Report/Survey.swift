import KVMap

/// What a report says of a store. Its memory does not depend on how many records there are.
struct Survey {
  let statistics: Store.Statistics
  let map: FileMap
  /// Records by the number of binary digits of the lengths of their keys and values.
  private(set) var keySizes = [Int](repeating: 0, count: 64)
  private(set) var valueSizes = [Int](repeating: 0, count: 64)
  /// Bytes of the values of each of those.
  private(set) var valueBytesBySize = [Int](repeating: 0, count: 64)
  private(set) var expiries: TimeClasses
  private(set) var ages: TimeClasses
  private(set) var largest = LargestKeys()
  private(set) var prefixes = PrefixTree()

  private(set) var records = 0
  private(set) var keyBytes = 0
  private(set) var valueBytes = 0
  /// Bytes that the records take of the file.
  private(set) var storedBytes = 0
  /// Records and pages of the index that could not be read.
  private(set) var damaged = 0

  /// - Parameters:
  ///   - now: milliseconds since 1970.
  ///   - progress: is told how many of `statistics.recordCount` × 2 records are done.
  init(of store: Store, now: UInt64, progress: (Store.Statistics, Int) -> Void) throws {
    let statistics = try store.statistics()
    self.statistics = statistics
    map = try FileMap(of: store, expectedBytes: statistics.usedBytes)
    expiries = .expiries(now)
    ages = .ages(now)
    var sample = KeySample()
    // The initialiser's own copy is complete only after all its parts are.
    var (records, keyBytes, valueBytes, storedBytes) = (0, 0, 0, 0)
    var (keySizes, valueSizes, valueBytesBySize) = (keySizes, valueSizes, valueBytesBySize)
    var (expiries, ages, largest) = (expiries, ages, largest)
    damaged = try store.forEachRecord { key, record in
      records += 1
      keyBytes += key.byteCount
      valueBytes += record.valueLength
      storedBytes += record.storedBytes
      keySizes[Self.sizeClass(key.byteCount)] += 1
      valueSizes[Self.sizeClass(record.valueLength)] += 1
      valueBytesBySize[Self.sizeClass(record.valueLength)] += record.valueLength
      expiries.add(record.expiry, bytes: record.storedBytes)
      ages.add(record.version, bytes: record.storedBytes)
      if largest.wants(record.valueLength) { largest.insert(key, record.valueLength) }
      if sample.takesNext() { sample.insert(key) }
      progress(statistics, records)
    }
    (self.records, self.keyBytes, self.valueBytes, self.storedBytes) = (
      records, keyBytes, valueBytes, storedBytes
    )
    (self.keySizes, self.valueSizes, self.valueBytesBySize) = (keySizes, valueSizes, valueBytesBySize)
    (self.expiries, self.ages, self.largest) = (expiries, ages, largest)

    // Which prefixes are worth being shown follows from the sample; what they have is counted.
    var prefixes = PrefixTree(sample.keys + largest.items.map(\.key))
    _ = try store.forEachRecord { key, record in
      prefixes.count(key, bytes: record.storedBytes)
      records += 1
      progress(statistics, records)
    }
    self.prefixes = prefixes
  }

  /// 0 for 0, 1 for 1, 2 for 2 and 3, 3 for 4 to 7.
  private static func sizeClass(_ size: Int) -> Int { Int.bitWidth - size.leadingZeroBitCount }
}

/// Some of the keys, each with the same probability, in bounded memory.
struct KeySample {
  private(set) var keys: [[UInt8]] = []
  private var seen: UInt64 = 0
  private var place = 0
  private var generator = BenchGenerator()

  private static let most = 20_000
  /// Of longer keys the beginning is kept.
  static let longest = 128

  /// Whether the next key is one of them.
  mutating func takesNext() -> Bool {
    seen += 1
    if seen <= UInt64(Self.most) { return true }
    place = Int(generator.next() % seen)
    return place < Self.most
  }

  mutating func insert(_ key: RawSpan) {
    let beginning = key.beginning(Self.longest)
    if keys.count < Self.most { keys.append(beginning) } else { keys[place] = beginning }
  }
}

/// The keys with the largest values.
struct LargestKeys {
  struct Item {
    /// The beginning of the key.
    let key: [UInt8]
    let keyLength: Int
    let valueLength: Int
  }

  /// The largest first.
  private(set) var items: [Item] = []

  private static let most = 20
  /// Of longer keys the beginning is kept.
  static let longest = 200

  func wants(_ valueLength: Int) -> Bool {
    items.count < Self.most || valueLength > items[Self.most - 1].valueLength
  }

  mutating func insert(_ key: RawSpan, _ valueLength: Int) {
    let place = items.firstIndex { $0.valueLength < valueLength } ?? items.count
    let beginning = key.beginning(Self.longest)
    items.insert(Item(key: beginning, keyLength: key.byteCount, valueLength: valueLength), at: place)
    if items.count > Self.most { items.removeLast() }
  }
}

extension RawSpan {
  /// A copy of the first bytes.
  func beginning(_ limit: Int) -> [UInt8] {
    let bytes = extracting(first: limit)
    return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }
}

/// Records by time: until they expire, or since they were written at the earliest.
struct TimeClasses {
  struct Class {
    let label: String
    /// What is below this belongs to the class, and not to one before it.
    fileprivate let bound: UInt64
    fileprivate(set) var records = 0
    fileprivate(set) var bytes = 0
  }

  private(set) var classes: [Class]

  private static let spans: [(label: String, milliseconds: UInt64)] = [
    ("a minute", 60_000), ("an hour", 3_600_000), ("a day", 86_400_000), ("a week", 7 * 86_400_000),
    ("30 days", 30 * 86_400_000), ("a year", 365 * 86_400_000),
  ]

  /// Classes of times of expiry.
  static func expiries(_ now: UInt64) -> TimeClasses {
    let soon = spans.map { Class(label: "within \($0.label)", bound: now + $0.milliseconds) }
    return TimeClasses(
      classes: soon + [Class(label: "later", bound: .max), Class(label: "never", bound: .max)])
  }

  /// Classes of versions.
  static func ages(_ now: UInt64) -> TimeClasses {
    var older: [Class] = [Class(label: "unknown: put when the store was new", bound: 1 << 32)]
    var label = "over a year ago"
    for (name, milliseconds) in spans.reversed() {
      // A clock that is wrong makes no classes.
      guard now > milliseconds, let version = Store.leastVersion(openedAt: now - milliseconds) else {
        continue
      }
      older.append(Class(label: label, bound: version))
      label = "within \(name)"
    }
    return TimeClasses(classes: older + [Class(label: label, bound: .max), Class(label: "", bound: .max)])
  }

  /// - Parameter number: nil belongs to the last class.
  mutating func add(_ number: UInt64?, bytes: Int) {
    let place = number.flatMap { number in classes.firstIndex { number < $0.bound } } ?? classes.count - 1
    classes[place].records += 1
    classes[place].bytes += bytes
  }
}
