import Foundation
import SystemPackage

@testable import KVMap

/// A directory of its own for one test, removed with everything in it.
final class Scratch: Sendable {
  let directory: FilePath

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("kvmap-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    directory = FilePath(url.path)
  }

  deinit { try? FileManager.default.removeItem(atPath: directory.string) }

  func path(_ name: String) -> FilePath { directory.appending(name) }
}

/// SplitMix64: the same numbers for the same seed, on every host.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// One of many sequences for one seed.
  init(seed: UInt64, _ parts: Int...) {
    var mixed = seed
    for part in parts {
      var generator = SeededGenerator(
        seed: mixed ^ UInt64(truncatingIfNeeded: part &+ 1) &* 0xd134_2543_de82_ef95)
      mixed = generator.next()
    }
    state = mixed
  }

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

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

extension RawSpan {
  var array: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}

extension Store {
  /// A checkpoint now, whatever the log's length.
  func checkpoint() throws(StoreError) {
    _ = try core.withWriteLock { turn throws(StoreError) in try core.checkpoint(turn, .skip) }
  }
}

/// What a run found, with all that is needed to look into it.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
