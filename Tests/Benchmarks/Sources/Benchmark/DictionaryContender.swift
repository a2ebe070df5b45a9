/// A Swift dictionary: no file, no other process, no other thread.
struct DictionaryContender: Contender {
  static let name = "dictionary"
  static let hasFile = false
  private var records: [[UInt8]: [UInt8]] = [:]

  init(_ path: String) {}
  func close() {}

  /// The value is copied, since the caller changes its buffer. The key is shared with the caller, who never looks it up
  /// by the same array again; its 48 bytes are missing in the figure of memory.
  @inline(__always)
  mutating func put(_ key: [UInt8], _ value: [UInt8]) {
    let value = unsafe value.withUnsafeBytes { unsafe Array($0) }
    records[key] = value
  }

  @inline(__always)
  func get(_ key: [UInt8]) -> UInt64? {
    guard let value = records[key] else { return nil }
    return unsafe value.withUnsafeBytes { unsafe Bytes.checksum($0) }
  }

  @inline(__always)
  mutating func delete(_ key: [UInt8]) -> Bool { records.removeValue(forKey: key) != nil }

  func scan() -> (count: Int, sum: UInt64) {
    var (count, sum) = (0, UInt64(0))
    for (_, value) in records {
      count += 1
      sum &+= unsafe value.withUnsafeBytes { unsafe Bytes.checksum($0) }
    }
    return (count, sum)
  }

  func putDurably(_ key: [UInt8], _ value: [UInt8]) {}
}
