import MappedMemory
import SystemPackage

@testable import KVMap

/// The disk under a trace: what is durable up to some event, and what else may
/// have reached it.
///
/// Crash images are made by choosing, for each page changed since its last sync,
/// one of the versions it has had since; or, torn, for each sector or each 8 bytes.
final class Disk {
  /// A change of a page that is not durable.
  private struct Change {
    var offset: Int
    var bytes: [UInt8]
  }

  private let file: File
  /// What surely is on the disk, mapped shared: images are private copies of it.
  private let durable: Reservation
  private let bytes: MappedBytes
  private(set) var length: Int
  private var currentLength: Int
  private var changes: [Int: [Change]] = [:]
  private var written: Set<Int>

  init(copying image: SimulatedBacking?, in directory: FilePath) throws {
    file = try File(unnamedIn: directory)
    let size = SimulatedBacking.largest
    try file.setSize(Int64(size))
    durable = try Reservation(atLeast: size, preferring: size)
    try durable.place(
      file, fileOffset: 0, at: 0, length: size, protection: [.read, .write], sharing: .shared)
    unsafe bytes = MappedBytes(base: durable.base)
    length = image?.mappedBytes ?? 0
    currentLength = length
    written = image?.written ?? []
    if let image {
      for page in image.written { put(image.bytes.array(page, count: 4096), at: page) }
    }
  }

  private func put(_ content: [UInt8], at offset: Int) {
    unsafe content.withUnsafeBytes { source in
      guard let start = source.baseAddress else { return }
      unsafe (bytes.base + offset).copyMemory(from: start, byteCount: source.count)
    }
  }

  // MARK: Going on in time

  func apply(_ event: Trace.Event) {
    switch event {
    case .store(let offset, let content): addChange(offset, content)
    case .grow(let size): currentLength = max(currentLength, size)
    case .sync(let first, let end): sync(first, end)
    case .begun, .durable: break
    }
  }

  private func addChange(_ offset: Int, _ content: [UInt8]) {
    var at = offset
    let end = offset + content.count
    while at < end {
      let page = at & ~4095
      let stop = min(end, page + 4096)
      changes[page, default: []].append(
        Change(offset: at, bytes: Array(content[at - offset..<stop - offset])))
      written.insert(page)
      at = stop
    }
  }

  private func sync(_ first: Int, _ end: Int) {
    length = currentLength
    for page in changes.keys where page >= first && page < end {
      for change in changes[page] ?? [] { put(change.bytes, at: change.offset) }
      changes[page] = nil
    }
  }

  // MARK: Images

  /// Pages that are not durable in their latest version, in order.
  var dirtyPages: [Int] { changes.keys.sorted() }

  /// How a crash image differs from what is durable.
  enum Choice {
    /// A bit for each dirty page: its latest version or the durable one.
    case subset(UInt64)
    /// Any version of each page.
    case versions
    /// Any version of each sector of 512 bytes.
    case sectors
    /// Any version of each 8 bytes.
    case words
  }

  func image(_ choice: Choice, _ random: inout SeededGenerator, trace: Trace?) throws -> SimulatedBacking {
    // The file's length is durable before anything is stored behind the old end
    // and synced; without a sync it may be either.
    let isLong = currentLength == length || random.next() % 2 == 0
    let size = isLong ? currentLength : length
    let image = try SimulatedBacking(file, length: size, written: written, trace: trace)
    for (index, page) in dirtyPages.enumerated() where page < size {
      guard let versions = changes[page] else { continue }
      switch choice {
      case .subset(let bits):
        if bits >> UInt64(index) & 1 == 1 { write(versions[...], to: image) }
      case .versions:
        write(versions.prefix(random.below(versions.count + 1)), to: image)
      case .sectors: tear(page, 512, versions, image, &random)
      case .words: tear(page, 8, versions, image, &random)
      }
    }
    return image
  }

  /// A copy of an image as it is now, to start from later.
  func snapshot(of image: SimulatedBacking) throws -> SimulatedBacking {
    let copy = try SimulatedBacking(file, length: 0, written: image.written, trace: nil)
    try copy.grow(to: image.mappedBytes)
    copy.markWritten(image.written)
    for page in image.written where page < image.mappedBytes {
      Self.copy(image.bytes.array(page, count: 4096), to: copy, at: page)
    }
    return copy
  }

  private func write(_ changes: ArraySlice<Change>, to image: SimulatedBacking) {
    for change in changes { Self.copy(change.bytes, to: image, at: change.offset) }
  }

  private static func copy(_ content: [UInt8], to image: SimulatedBacking, at offset: Int) {
    unsafe content.withUnsafeBytes { source in
      guard let start = source.baseAddress else { return }
      unsafe (image.bytes.base + offset).copyMemory(from: start, byteCount: source.count)
    }
  }

  private func tear(
    _ page: Int, _ grain: Int, _ versions: [Change], _ image: SimulatedBacking,
    _ random: inout SeededGenerator
  ) {
    // How many of the page's changes each grain has seen; mostly all or none of
    // them, as a disk does it, sometimes anything.
    let wild = random.next() % 4 == 0
    let favourite = random.below(versions.count + 1)
    let seen = (0..<4096 / grain).map { _ in
      wild
        ? random.below(versions.count + 1)
        : random.next() % 2 == 0 ? favourite : random.next() % 2 == 0 ? versions.count : 0
    }
    for (number, change) in versions.enumerated() {
      var at = change.offset
      let end = change.offset + change.bytes.count
      while at < end {
        let stop = min(end, (at / grain + 1) * grain)
        if seen[(at - page) / grain] > number {
          Self.copy(
            Array(change.bytes[at - change.offset..<stop - change.offset]), to: image, at: at)
        }
        at = stop
      }
    }
  }
}

/// Random numbers from a seed: SplitMix64 (Steele, Lea and Flood, 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
