/// A Swift dictionary: no file, no other process, no other thread.
final class DictionaryContender: Contender, Deletes, Scans {
  static var about: About {
    About(
      name: "dictionary", version: "",
      setup: "Swift's `[[UInt8]: [UInt8]]`, in memory; a get shares the value, without a copy",
      lacks: "a file; threads")
  }

  private var records: [[UInt8]: [UInt8]] = [:]

  init(_ place: Place) {}
  func close() {}

  /// The value is copied, since the caller changes its buffer. The array of the key is shared with the
  /// caller, so its 48 bytes are missing from the figure of memory. No later call uses the same array.
  func put(_ key: [UInt8], _ value: [UInt8]) {
    let value = unsafe value.withUnsafeBytes { unsafe Array($0) }
    records[key] = value
  }

  func get(_ key: [UInt8]) -> UInt64? { records[key].map { Bytes.checksum($0) } }

  func delete(_ key: [UInt8]) -> Bool { records.removeValue(forKey: key) != nil }

  func scan() -> Tally {
    var tally = Tally()
    for (key, value) in records { tally.add(key: key, value: value) }
    return tally
  }
}
