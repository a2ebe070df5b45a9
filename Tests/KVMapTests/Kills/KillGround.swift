import Foundation
import MappedMemory
import SystemPackage
import TestSupport

@testable import KVMap

/// The store whose processes are killed, and what must be found in it. For exit tests.
final class KillGround {
  let scratch: Scratch
  let name: String
  let seed: UInt64
  var generator: SeededGenerator
  var count = KillCount()
  /// How the present child is to be killed, for failure messages.
  var plan = ""

  var path: FilePath { scratch.path() }

  init(_ name: String, seed: UInt64) throws {
    self.name = name
    self.seed = seed
    scratch = try Scratch()
    generator = SeededGenerator(seed: seed)
  }

  /// Makes a store with the steady keys.
  ///
  /// - Parameter garbage: MiB of garbage between them in the log. With more than two, commits
  ///   compact.
  func create(_ scripts: [Script], garbage: Int = 0) throws {
    let store = try scratch.store()
    for script in scripts {
      for (key, value) in script.contents {
        try store.put(value, forKey: key)
        for _ in 0..<garbage * 2 { try store.put(patterned(60_000, 1), forKey: script.steadyKey(0)) }
      }
      try store.put(Script.steadyValue(0, 0), forKey: script.steadyKey(0))
    }
    try store.close()
  }

  /// Runs the test. If it fails, the error says how to repeat it and where the file is kept, as
  /// it was after the last kill.
  func run<R>(_ body: () throws -> R) throws -> R {
    do {
      return try body()
    } catch {
      var kept = "no file was kept"
      let fileManager = FileManager.default
      if let found = [copy, path.string].first(where: { fileManager.fileExists(atPath: $0) }) {
        let place = fileManager.temporaryDirectory.appendingPathComponent(
          "kvmap-killed-\(seed)-\(count.all)")
        try? fileManager.moveItem(atPath: found, toPath: place.path)
        kept = "the store as it was then: \(place.path)"
      }
      throw KillFailure(
        "\(name), kill \(count.all) (\(plan)): \(error); \(kept); to repeat: "
          + "KVMAP_TEST_SEED=\(seed) KVMAP_KILLS=\(KillCount.total) swift test --filter \(name)")
    }
  }

  private var copy: String { scratch.path("copy").string }

  /// Counts a kill, and keeps a copy of the file. Nobody may be writing.
  func note(_ phase: KillPhase) throws {
    count.add(phase)
    try? FileManager.default.removeItem(atPath: copy)
    let from = try File(opening: path, access: .readOnly)
    let to = try File(opening: FilePath(copy), access: .readWrite, create: true)
    let size = try Int(from.status().size)
    let empty = [UInt8](repeating: 0, count: Layout.unitBytes)
    for offset in stride(from: 0, to: size, by: empty.count) {
      let bytes = try from.read(count: empty.count, at: Int64(offset))
      // Most of the file is holes, which the copy keeps.
      if bytes != empty { try unsafe to.write(bytes.span.bytes, at: Int64(offset)) }
    }
    try to.setSize(Int64(size))
  }

  // MARK: Looking at the store

  /// What a view of the last checkpoint and the log after it holds.
  func viewed() throws -> Operation.Contents {
    let view = try scratch.store { $0.access = .scratch }
    let found = try entries(view)
    try expect(view.core.verify(), "a private view")
    try view.close()
    return found
  }

  /// Opens the store, which recovers it. It must hold `contents` and be sound.
  func recover(expecting contents: Operation.Contents) throws {
    let store = try scratch.store()
    try store.core.withWriteLock { _ throws(Store.Error) in }
    guard try entries(store) == contents else { throw KillFailure("a view and a recovery differ") }
    // The count includes expired keys that are not reclaimed yet.
    let expired = try store.count - contents.count
    guard (0...2 * Step.expiringKeys).contains(expired) else { throw KillFailure("the count is wrong") }
    try expect(store.core.withWriteLock { _ throws(Store.Error) in store.core.verify() }, "the working state")
    try expect(store.verify(), "what was recovered")
    try store.close()
  }

  /// Lets another handle take over if a writer died with the write lock.
  func takeOver() throws {
    let store = try scratch.store()
    try store.core.withWriteLock { _ throws(Store.Error) in }
    try store.close()
  }

  func entries(_ store: Store) throws -> Operation.Contents {
    var found = Operation.Contents()
    try store.forEach { key, value in
      if found.updateValue(value.array, forKey: key.array) != nil {
        throw KillFailure("a key was passed twice")
      }
    }
    return found
  }

  func expect(_ report: Store.VerificationReport, _ what: String) throws {
    if !report.isSound { throw KillFailure("\(what) is not sound: \(report.faults.prefix(5))") }
  }
}
