import Dispatch
import Foundation
import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

extension Scratch {
  func path() -> FilePath { path("store") }

  /// Opens (and creates) a store here, with options as `change` leaves them.
  func store(
    _ name: String = "store", _ change: (inout StoreOptions) -> Void = { _ in }
  ) throws(StoreError) -> Store {
    var options = StoreOptions()
    change(&options)
    return try Store(path(name), options: options)
  }
}

// MARK: Bytes

/// `count` bytes, each run of them told apart from others by `stamp`.
func patterned(_ count: Int, _ stamp: UInt64) -> [UInt8] {
  var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: stamp &* 31), count: count)
  for index in 0..<min(8, count) { bytes[index] = UInt8(truncatingIfNeeded: stamp >> UInt64(8 * index)) }
  if count > 16 { bytes[count - 1] = UInt8(truncatingIfNeeded: stamp &* 7) }
  return bytes
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
  let working = try store.core.withTurn { _ throws(StoreError) in store.core.verify() }
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
