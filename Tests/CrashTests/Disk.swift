import MappedMemory
import TestSupport

@testable import KVMap

/// The disk of a trace: what is durable at some event, and what else may have reached it.
///
/// A crash image has, for each page that was changed after its last sync, one of the versions
/// that it has had since then; or, torn, one for each sector or each 8 bytes.
final class Disk {
  /// A part of a store that lies in one page.
  private struct Change {
    var offset: Int
    var count: Int
    var start: Int
  }

  /// A page with changes that are not durable.
  private struct Dirty {
    var page: Int
    var changes: [Change]
    /// Whether a write failed and left the page marked clean. A sync writes it only after
    /// another store into it.
    var isTakenForClean = false
  }

  /// What is surely on the disk.
  private let durable: PagedMemory
  private var length = 0
  private var currentLength = 0
  /// What surely has disk space on the disk, and in the file as processes see it.
  private var space = DiskSpace()
  private var currentSpace = DiskSpace()
  private var dirty: [Dirty] = []
  /// For each page, its index in `dirty`, or −1.
  private var indexOfPage = [Int32](repeating: -1, count: PagedMemory.pageCount)
  private var spare: [[Change]] = []
  private var trace = Trace()
  /// The image that was made last. There is only one at a time.
  let image: SimulatedFile

  init() throws {
    durable = try PagedMemory()
    image = try SimulatedFile(below: durable)
  }

  /// Starts a trace with what `file` holds.
  func begin(_ trace: Trace, on file: Content) {
    for page in durable.written { image.memory.zero(page: page) }
    image.memory.clear()
    durable.clear()
    for source in [file.below, file.memory] {
      guard let source else { continue }
      for page in source.written {
        durable.note(page * Layout.pageBytes, 1)
        durable.write(page: page, from: file.memory)
        image.memory.write(page: page, from: file.memory)
      }
    }
    (length, currentLength) = (file.length, file.length)
    (space, currentSpace) = (file.space, file.space)
    while let last = dirty.last { forget(last.page) }
    self.trace = trace
  }

  // MARK: Events

  func apply(_ event: Trace.Event) {
    switch event {
    case .store(let store): add(store)
    case .grow(let size): currentLength = max(currentLength, size)
    case .truncate(let size): currentLength = size
    case .allocate(let first, let end): currentSpace.set(first, end, true)
    case .punch(let first, let end):
      // The punch may reach the disk at any time.
      currentSpace.set(first, end, false)
      space.set(first, end, false)
    case .sync(let first, let end):
      length = currentLength
      space.take(first, end, from: currentSpace)
      for page in dirtyPages(first, end) where !dirty[Int(indexOfPage[page])].isTakenForClean {
        harden(page)
      }
    case .failedSync(let first, let end, let seed):
      var random = SeededGenerator(seed: seed)
      for page in dirtyPages(first, end).sorted() {
        if dirty[Int(indexOfPage[page])].isTakenForClean { continue }
        if random.once(in: 2) {
          harden(page)
        } else {
          dirty[Int(indexOfPage[page])].isTakenForClean = true
        }
      }
    case .lostWrites(let seed):
      var random = SeededGenerator(seed: seed)
      for page in dirtyPages(0, .max).sorted() where random.once(in: 2) {
        dirty[Int(indexOfPage[page])].isTakenForClean = true
      }
    case .begun, .durable, .void: break
    }
  }

  private func dirtyPages(_ first: Int, _ end: Int) -> [Int] {
    dirty.map(\.page).filter { $0 * Layout.pageBytes >= first && $0 * Layout.pageBytes < end }
  }

  private func add(_ store: Trace.Store) {
    var at = store.offset
    let end = store.offset + store.count
    while at < end {
      let page = at / Layout.pageBytes
      let stop = min(end, (page + 1) * Layout.pageBytes)
      if indexOfPage[page] < 0 {
        indexOfPage[page] = Int32(dirty.count)
        dirty.append(Dirty(page: page, changes: spare.popLast() ?? []))
      }
      let index = Int(indexOfPage[page])
      dirty[index].changes.append(
        Change(offset: at, count: stop - at, start: store.start + at - store.offset))
      dirty[index].isTakenForClean = false
      at = stop
    }
  }

  /// The page has reached the disk.
  private func harden(_ page: Int) {
    for change in dirty[Int(indexOfPage[page])].changes { write(change, to: durable) }
    image.memory.note(page * Layout.pageBytes, 1)
    space[page] = currentSpace[page]
    forget(page)
  }

  private func forget(_ page: Int) {
    let index = Int(indexOfPage[page])
    indexOfPage[page] = -1
    var list = dirty[index].changes
    let last = dirty.removeLast()
    if index < dirty.count {
      dirty[index] = last
      indexOfPage[last.page] = Int32(index)
    }
    list.removeAll(keepingCapacity: true)
    spare.append(list)
  }

  private func write(_ change: Change, to memory: PagedMemory) {
    unsafe trace.withBytes(change.start, change.count) {
      unsafe memory.write($0, at: change.offset)
    }
  }

  // MARK: Images

  /// How many pages are not durable in their latest version.
  var dirtyCount: Int { dirty.count }

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

  /// Makes `image` what a crash at this moment may leave.
  func makeImage(_ choice: Choice, _ random: inout SeededGenerator, trace: Trace? = nil) {
    for page in image.memory.written { image.memory.write(page: page, from: durable) }
    image.memory.forget()
    // A sync makes the file's length durable. Without one it may be the old or the new length.
    let isLong = currentLength == length || random.once(in: 2)
    image.length = isLong ? currentLength : length
    for (index, page) in dirty.enumerated() where page.page * Layout.pageBytes < image.length {
      switch choice {
      case .subset(let bits):
        if bits >> UInt64(index % 64) & 1 == 1 { write(page.changes[...]) }
      case .versions:
        let count = page.changes.count
        write(page.changes.prefix(random.once(in: 3) ? count : random.below(count + 1)))
      case .sectors: tear(page, 512, &random)
      case .words: tear(page, 8, &random)
      }
    }
    image.space = space
    // A page with bytes has disk space. A page that was not written may have none.
    for page in image.memory.written { image.space[page] = true }
    image.begin(trace: trace)
  }

  /// What is surely on the disk, the file's length there, and its disk space.
  var start: SimulatedFile.Start { (durable, length, space) }

  /// Restores the image as it was when `other` began with it.
  func restoreImage(from other: Disk) {
    for page in image.memory.written { image.memory.write(page: page, from: other.durable) }
    (image.length, image.space) = (other.length, other.space)
  }

  /// What the image holds, with which another disk can begin.
  var content: Content { (image.memory, durable, image.length, image.space) }

  /// The file that a disk begins with.
  typealias Content = (memory: PagedMemory, below: PagedMemory?, length: Int, space: DiskSpace)

  private func write(_ changes: ArraySlice<Change>) {
    for change in changes { write(change, to: image.memory) }
  }

  private func tear(_ dirty: Dirty, _ grain: Int, _ random: inout SeededGenerator) {
    // How many of the page's changes each grain has: mostly all or none, as disks write them,
    // sometimes any number.
    let count = dirty.changes.count
    let isWild = random.once(in: 4)
    let favourite = random.below(count + 1)
    var coins: UInt64 = 0
    let seen = (0..<Layout.pageBytes / grain).map { grain in
      if isWild { return random.below(count + 1) }
      if grain % 32 == 0 { coins = random.next() }
      defer { coins >>= 2 }
      return coins & 1 == 0 ? favourite : coins & 2 == 0 ? count : 0
    }
    let first = dirty.page * Layout.pageBytes
    for (number, change) in dirty.changes.enumerated() {
      var at = change.offset
      let end = change.offset + change.count
      while at < end {
        // All grains in a row that have the change.
        while at < end, seen[(at - first) / grain] <= number { at = (at / grain + 1) * grain }
        var stop = at
        while stop < end, seen[(stop - first) / grain] > number {
          stop = (stop / grain + 1) * grain
        }
        if at < min(stop, end) {
          let part = Change(
            offset: at, count: min(stop, end) - at, start: change.start + at - change.offset)
          write(part, to: image.memory)
        }
        at = max(stop, at)
      }
    }
  }
}
