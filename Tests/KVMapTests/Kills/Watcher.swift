import TestSupport

@testable import KVMap

/// In a child: reads the steady keys all the time. There is no error, no wrong byte, no value
/// older than what had returned, and no key is absent.
struct Watcher {
  let path: String
  let scripts: [Script]
  /// The writers' boards, with the least numbers of their keys.
  let floors: [Board]
  let board: Board

  func run() throws {
    board.phase = .reading
    let store = try Store(path: path, options: Store.Options(access: .readOnly))
    guard store.core.backing.isShared else { throw KillFailure("the reader has a private view") }
    var seen = [[Int]](
      repeating: [Int](repeating: 0, count: Board.steadyKeys), count: scripts.count)
    var generator = SeededGenerator(seed: scripts[0].seed)
    var kept: KeptSnapshot?
    for round in 0... {
      if round % 64 == 32, kept == nil { kept = try KeptSnapshot(store) }
      if round % 64 == 0, generator.chance(30) {
        try kept?.end()
        kept = nil
      }
      let writer = generator.below(scripts.count)
      let key = generator.below(Board.steadyKeys)
      let name = scripts[writer].steadyKey(key)
      seen[writer][key] = max(seen[writer][key], floors[writer][floor: key])
      let value =
        switch round % 16 {
        case 3: try store.withValue(forKey: name) { $0.array }
        default: try store.get(name)
        }
      try check(value, writer, key, &seen)
      if round % 16 == 7, try !store.contains(name) { throw KillFailure("a key is not contained") }
      if round % 128 == 0 { try checkAll(store, &seen) }
      board.reads += 1
    }
  }

  private func check(_ value: [UInt8]?, _ writer: Int, _ key: Int, _ seen: inout [[Int]]) throws {
    let name = "writer \(writer), key \(key)"
    guard let value else { throw KillFailure("\(name) is absent") }
    let number = Script.number(ofSteady: value)
    guard number >= seen[writer][key] else {
      throw KillFailure("\(name) went back from \(seen[writer][key]) to \(number)")
    }
    guard value == Script.steadyValue(key, number) else { throw KillFailure("\(name) has other bytes") }
    seen[writer][key] = number
  }

  /// `forEach` passes each of them exactly once.
  private func checkAll(_ store: Store, _ seen: inout [[Int]]) throws {
    var found: [[UInt8]: [UInt8]] = [:]
    try store.forEach { key, value in
      let key = key.array
      guard found.updateValue(value.array, forKey: key) == nil else {
        throw KillFailure("\(String(decoding: key.prefix(20), as: UTF8.self)) was passed twice")
      }
    }
    for (writer, script) in scripts.enumerated() {
      for key in 0..<Board.steadyKeys {
        // The value that was passed is not older than what was seen before.
        try check(found[script.steadyKey(key)], writer, key, &seen)
      }
    }
  }
}
