import Glibc
import SystemPackage

@testable import KVMap

/// Files of stores, changed as the input says.
final class ImageTarget {
  private let stores: [HostileStore]
  private let saved: [Image.Saved]
  private let forgers: [Forger]
  private let path: FilePath

  nonisolated(unsafe) static let shared: ImageTarget = {
    do {
      return try ImageTarget()
    } catch {
      fatalError("the stores to begin with cannot be made: \(error)")
    }
  }()

  private init() throws {
    let directory = FilePath("/dev/shm/kvmap-fuzzing-\(getpid())")
    guard mkdir(directory.string, 0o700) == 0 else { throw Image.Failure(call: "mkdir") }
    stores = [try HostileStore.closed(in: directory), try HostileStore.unclosed(in: directory)]
    saved = stores.map { $0.image.save() }
    forgers = try stores.map { try Forger($0.image) }
    path = directory.appending("case")
    for name in ["closed", "unclosed"] { unlink(directory.appending(name).string) }
    atexit {
      let directory = FilePath("/dev/shm/kvmap-fuzzing-\(getpid())")
      unlink(directory.appending("case").string)
      rmdir(directory.string)
    }
  }

  func run(_ input: [UInt8], isChanged: Bool) -> CInt {
    var random = InputGenerator(input)
    let which = random.below(stores.count)
    let image = stores[which].image
    defer { image.restore(saved[which]) }
    for _ in 0..<8 where !random.isAtEnd {
      switch random.below(3) {
      case 0: patch(image, &random)
      default: forgers[which].forgeOne(&random)
      }
    }
    let examiner = Examiner(original: stores[which], path: path)
    do {
      try examiner.endure(&random, isChanged: isChanged)
    } catch {
      fatalError("\(error)")
    }
    return 0
  }

  /// Stores bytes of the input, and corrects the checksum of an index page or not.
  private func patch(_ image: Image, _ random: inout InputGenerator) {
    let page = image.pages[random.below(image.pages.count)]
    let start = page * Image.pageBytes + random.below(Image.pageBytes - 8)
    for offset in 0..<1 + random.below(8) {
      image.bytes.store8(UInt8(truncatingIfNeeded: random.next()), start + offset)
    }
    guard random.below(2) == 0, let block = try? SuperblockPair(image.bytes).current().block else { return }
    let header = PageHeader(bytes: image.bytes, page: PageNumber(number: UInt64(page)))
    if (1...5).contains(header.kindByte) { header.seal(seed: block.seed) }
  }
}
