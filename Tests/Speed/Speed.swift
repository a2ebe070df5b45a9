/// Makes the puts, gets and overwrites whose cost `.ci/speed` counts.
///
///     Speed STORE [--system-calls]
///
/// Puts 100,000 records of 16 + 100 bytes into a new store, gets each and overwrites each. Each of the
/// three is a function that a profiler finds by its name. With `--system-calls` it prints how many
/// system calls each of them made.
import KVMap
import MappedMemory
import Synchronization

@main
enum Speed {
  private static let isCounting = CommandLine.arguments.last == "--system-calls"

  /// Where instructions are counted, checkpoints are written by the thread that puts: when another one ends
  /// with them is a matter of chance, and so would be when compaction goes on. Then each call takes the lock
  /// among processes and lets go of it.
  static let store = attempt {
    try Store(
      path: CommandLine.arguments[1],
      options: Store.Options(checkpoints: isCounting ? .background : .inline))
  }
  private static let systemCalls = Atomic<Int>(0)
  private static let count = 100_000

  static func main() throws {
    if isCounting {
      FaultInjection.install { _ in
        systemCalls.add(1, ordering: .relaxed)
        return nil
      }
    }
    _ = store
    for (name, run) in [("put", puts), ("get", gets), ("overwrite", overwrites)] {
      let before = systemCalls.load(ordering: .relaxed)
      run()
      if isCounting { print(name, systemCalls.load(ordering: .relaxed) - before) }
    }
    try store.close()
  }

  static func forEachKey(_ body: ([UInt8]) throws -> Void) {
    attempt {
      var key = [UInt8](repeating: 0, count: 16)
      for number in 0..<count {
        var bits = UInt64(number) &* 0x9e37_79b9_7f4a_7c15
        for index in 0..<8 {
          key[index] = UInt8(truncatingIfNeeded: bits)
          bits >>= 8
        }
        try body(key)
      }
    }
  }

  static func attempt<R>(_ body: () throws -> R) -> R {
    do { return try body() } catch { fatalError("\(error)") }
  }
}

@inline(never) @_silgen_name("speed_put")
func puts() {
  let value = [UInt8](repeating: 7, count: 100)
  Speed.forEachKey { try Speed.store.put(value, forKey: $0) }
}

@inline(never) @_silgen_name("speed_get")
func gets() {
  Speed.forEachKey { _ = try Speed.store.get($0) }
}

@inline(never) @_silgen_name("speed_overwrite")
func overwrites() {
  let value = [UInt8](repeating: 8, count: 100)
  Speed.forEachKey { try Speed.store.put(value, forKey: $0) }
}
