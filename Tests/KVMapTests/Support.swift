import Dispatch
import Foundation
import MappedMemory
import Synchronization
import SystemPackage
import Testing

@testable import KVMap

/// A directory of its own for one test, removed with everything in it.
final class Scratch: Sendable {
  let directory: FilePath

  init(in parent: URL = FileManager.default.temporaryDirectory) throws {
    let url = parent.appendingPathComponent("kvmap-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    directory = FilePath(url.path)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory.string) }

  func path(_ name: String = "store") -> FilePath { directory.appending(name) }

  /// Opens (and creates) a store here, with options as `change` leaves them.
  func store(
    _ name: String = "store", _ change: (inout StoreOptions) -> Void = { _ in }
  ) throws(StoreError) -> Store {
    var options = StoreOptions()
    change(&options)
    return try Store(path(name), options: options)
  }

  var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: directory.string).sorted() }
  }
}

// MARK: Randomness that can be repeated

/// SplitMix64: the same numbers for the same seed, on every host.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// A seed for one run, printed; `KVMAP_TEST_SEED` repeats a run.
func testSeed(_ name: String) -> UInt64 {
  let given = ProcessInfo.processInfo.environment["KVMAP_TEST_SEED"].flatMap { UInt64($0) }
  let seed = given ?? UInt64.random(in: 1...999_999_999)
  print("\(name): seed \(seed); to repeat: KVMAP_TEST_SEED=\(seed) swift test --filter \(name)")
  return seed
}

/// How often random tests repeat; `KVMAP_TEST_SCALE` makes them longer.
let testScale = ProcessInfo.processInfo.environment["KVMAP_TEST_SCALE"].flatMap { Int($0) } ?? 1

// MARK: Bytes

/// `count` bytes, each run of them told apart from others by `stamp`.
func patterned(_ count: Int, _ stamp: UInt64) -> [UInt8] {
  var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: stamp &* 31), count: count)
  for index in 0..<min(8, count) { bytes[index] = UInt8(truncatingIfNeeded: stamp >> UInt64(8 * index)) }
  if count > 16 { bytes[count - 1] = UInt8(truncatingIfNeeded: stamp &* 7) }
  return bytes
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

extension RawSpan {
  var array: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}

// MARK: Files

func contents(_ path: FilePath) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path.string)) }

func write(_ data: Data, to path: FilePath) throws { try data.write(to: URL(fileURLWithPath: path.string)) }

/// Changes bytes of a file in place.
func overwrite(_ path: FilePath, at offset: Int, with bytes: [UInt8]) throws {
  let file = try File(opening: path, access: .readWrite)
  try unsafe file.write(bytes.span.bytes, at: Int64(offset))
}

func flip(_ path: FilePath, at offset: Int, mask: UInt8 = 1) throws {
  let file = try File(opening: path, access: .readOnly)
  let byte = try file.read(count: 1, at: Int64(offset))
  try overwrite(path, at: offset, with: [byte[0] ^ mask])
}

// MARK: Stores

extension Store {
  /// All keys and values, by `forEach`; a key met twice is recorded as an issue.
  func everything() throws -> [[UInt8]: [UInt8]] {
    var found: [[UInt8]: [UInt8]] = [:]
    try forEach { key, value in
      let previous = found.updateValue(value.array, forKey: key.array)
      #expect(previous == nil, "a key was passed twice")
    }
    return found
  }

  /// The same, by cursor.
  func everythingByCursor() throws -> [[UInt8]: [UInt8]] {
    var cursor = makeCursor()
    var found: [[UInt8]: [UInt8]] = [:]
    while let entry = try cursor.next() {
      #expect(found.updateValue(entry.value, forKey: entry.key) == nil, "a key was returned twice")
    }
    return found
  }
}

/// Checks the working state and what a recovery makes of the file.
func expectSound(
  _ store: Store, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let working = try store.core.withWriteLock { _ throws(StoreError) in store.core.verify() }
  #expect(working.isSound, "working state: \(working.faults) \(comment)", sourceLocation: sourceLocation)
  let recovered = try store.verify()
  #expect(recovered.isSound, "recovered: \(recovered.faults) \(comment)", sourceLocation: sourceLocation)
}

/// The code of the error that `body` throws, nil if it throws none.
func code<R>(_ body: () throws -> R) -> StoreError.Code? {
  do {
    _ = try body()
    return nil
  } catch let error as StoreError {
    return error.code
  } catch {
    Issue.record("an error of another type: \(error)")
    return nil
  }
}

/// Something that one thread waits for and another gives, once.
final class Signal: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)
  private let given = Atomic<Bool>(false)
  var isGiven: Bool { given.load(ordering: .acquiring) }
  func give() {
    given.store(true, ordering: .releasing)
    semaphore.signal()
  }
  func wait() { semaphore.wait() }
}
