import Foundation

/// The least that a get can cost: a hash of the key, one cache line of the table, the lines of the record.
///
/// Open addressing over lines of eight slots. A slot has the upper 16 bits of the hash and the place of
/// a record: two lengths, key, value, at the start of a line. Nothing can be deleted and nothing grows.
@safe
final class BareTable: Contender, ReadsInPlace, ReadsMany {
  static var about: About {
    About(
      name: "bare table", version: "",
      setup: """
        a yardstick of gets: open addressing in memory, sized beforehand, in pages of 4 KiB as a mapped file
        """,
      lacks: "a file, checks, other threads, growth")
  }

  private static let lineBytes = 64
  private static let slotsPerLine = 8
  private static let headerBytes = 8
  private static let placeMask: UInt64 = (1 << 48) - 1

  private let memory: UnsafeMutableRawPointer
  private let memoryBytes: Int
  private let lineMask: Int
  private var used: Int

  init(_ place: Place) throws {
    var lines = 1
    while lines * Self.slotsPerLine < place.records * 2 { lines *= 2 }
    lineMask = lines - 1
    used = lines * Self.lineBytes
    memoryBytes = used + place.records * Self.wholeLines(Self.headerBytes + place.recordBytes)
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    guard let start = unsafe mmap(nil, memoryBytes, PROT_READ | PROT_WRITE, flags, -1, 0),
      unsafe start != MAP_FAILED
    else { throw Wrong("mmap failed") }
    unsafe memory = unsafe start
    _ = unsafe madvise(memory, memoryBytes, MADV_NOHUGEPAGE)
  }

  func close() { _ = unsafe munmap(memory, memoryBytes) }

  func put(_ key: [UInt8], _ value: [UInt8]) throws {
    try unsafe key.withUnsafeBytes { key in
      let hash = unsafe Self.hash(key)
      let (slot, record) = unsafe find(key, hash)
      if let record = unsafe record, unsafe record.load(fromByteOffset: 4, as: UInt32.self) == value.count {
        return unsafe Self.copy(value, to: record + Self.headerBytes + key.count)
      }
      let length = Self.wholeLines(Self.headerBytes + key.count + value.count)
      guard used + length <= memoryBytes else { throw Wrong("the bare table is full") }
      let new = unsafe memory + used
      unsafe new.storeBytes(of: UInt32(key.count), as: UInt32.self)
      unsafe new.storeBytes(of: UInt32(value.count), toByteOffset: 4, as: UInt32.self)
      unsafe (new + Self.headerBytes).copyMemory(from: key.baseAddress!, byteCount: key.count)
      unsafe Self.copy(value, to: new + Self.headerBytes + key.count)
      unsafe slot.storeBytes(of: hash & ~Self.placeMask | UInt64(used), as: UInt64.self)
      used += length
    }
  }

  func get(_ key: [UInt8]) -> UInt64? {
    unsafe value(key).map { unsafe Bytes.checksumOfCopy($0) }
  }

  func getInPlace(_ key: [UInt8]) -> UInt64? {
    unsafe value(key).map { unsafe Bytes.checksum($0) }
  }

  /// Loads the lines of all keys before it looks any key up.
  func getMany(_ keys: [[UInt8]], _ tally: inout Tally) {
    var touched: UInt64 = 0
    for key in keys {
      unsafe key.withUnsafeBytes { unsafe touched |= line(Self.hash($0)).load(as: UInt64.self) }
    }
    if touched == 0 { return }
    for key in keys {
      unsafe key.withUnsafeBytes { bytes in
        if let value = unsafe value(key) { unsafe tally.add(key: bytes, value: value) }
      }
    }
  }

  // MARK: The table

  private func value(_ key: [UInt8]) -> UnsafeRawBufferPointer? {
    unsafe key.withUnsafeBytes { key in
      guard let record = unsafe find(key, Self.hash(key)).record else { return nil }
      let count = Int(unsafe record.load(fromByteOffset: 4, as: UInt32.self))
      return unsafe UnsafeRawBufferPointer(start: record + Self.headerBytes + key.count, count: count)
    }
  }

  /// The slot of the key, or the free one where it would be.
  @inline(__always)
  private func find(
    _ key: UnsafeRawBufferPointer, _ hash: UInt64
  ) -> (slot: UnsafeMutableRawPointer, record: UnsafeMutableRawPointer?) {
    var line = unsafe line(hash)
    while true {
      for index in 0..<Self.slotsPerLine {
        let slot = unsafe line + index * 8
        let content = unsafe slot.load(as: UInt64.self)
        if content == 0 { return unsafe (slot, nil) }
        guard (content ^ hash) & ~Self.placeMask == 0 else { continue }
        let record = unsafe memory + Int(content & Self.placeMask)
        if unsafe record.load(as: UInt32.self) == key.count,
          unsafe memcmp(record + Self.headerBytes, key.baseAddress!, key.count) == 0
        {
          return unsafe (slot, record)
        }
      }
      let next = unsafe (line - memory) / Self.lineBytes + 1
      unsafe line = unsafe memory + (next & lineMask) * Self.lineBytes
    }
  }

  @inline(__always)
  private func line(_ hash: UInt64) -> UnsafeMutableRawPointer {
    unsafe memory + (Int(truncatingIfNeeded: hash) & lineMask) * Self.lineBytes
  }

  @inline(__always)
  private static func hash(_ key: UnsafeRawBufferPointer) -> UInt64 {
    let mixed = unsafe Bytes.checksum(key) &* 0x9E37_79B9_7F4A_7C15
    return (mixed ^ mixed >> 32) &* 0xD6E8_FEB8_6659_FD93
  }

  private static func copy(_ bytes: [UInt8], to target: UnsafeMutableRawPointer) {
    unsafe bytes.withUnsafeBytes { unsafe target.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
  }

  private static func wholeLines(_ count: Int) -> Int { (count + lineBytes - 1) / lineBytes * lineBytes }
}
