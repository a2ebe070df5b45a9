/// What threads beside each other do.
///
///     swift run -c release kvmap-threads [MEBIBYTES]
///
/// Durable puts per second of 1 to 16 threads, which share syncs; and the latency of a put while a store of that
/// many MiB (1,024) writes a checkpoint after half of its records were overwritten.
import Dispatch
import Foundation
import KVMap

func directory() throws -> URL {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent(
    "kvmap-threads-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  return url
}

func durablePuts(_ threads: Int) throws -> Double {
  let folder = try directory()
  defer { try? FileManager.default.removeItem(at: folder) }
  let store = try Store(path: folder.appendingPathComponent("store").path)
  let count = 2_000 / threads
  let value = [UInt8](repeating: 7, count: 100)
  let start = ContinuousClock.now
  let group = DispatchGroup()
  for thread in 0..<threads {
    group.enter()
    Thread {
      for number in 0..<count {
        do { try store.put(value, forKey: "\(thread) \(number)", durability: .onCommit) } catch {
          fatalError("\(error)")
        }
      }
      group.leave()
    }.start()
  }
  group.wait()
  let seconds = (ContinuousClock.now - start) / .seconds(1)
  return Double(count * threads) / seconds
}

func putsBesideCheckpoint(mebibytes: Int) throws {
  let folder = try directory()
  defer { try? FileManager.default.removeItem(at: folder) }
  let store = try Store(path: folder.appendingPathComponent("store").path)
  let value = [UInt8](repeating: 7, count: 1_000)
  let count = mebibytes << 10
  for number in 0..<count { try store.put(value, forKey: "\(number)") }
  try store.checkpoint()
  for number in stride(from: 0, to: count, by: 2) { try store.put(value, forKey: "\(number)") }
  let isDone = DispatchSemaphore(value: 0)
  let begin = ContinuousClock.now
  Thread {
    do { try store.checkpoint() } catch { fatalError("\(error)") }
    isDone.signal()
  }.start()
  var latencies: [Double] = []
  var number = 0
  while isDone.wait(timeout: .now()) == .timedOut {
    let start = ContinuousClock.now
    try store.put(value, forKey: "\(number % count)")
    latencies.append((ContinuousClock.now - start) / .microseconds(1))
    number += 7
  }
  let seconds = (ContinuousClock.now - begin) / .seconds(1)
  latencies.sort()
  func at(_ share: Double) -> Int {
    Int(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))])
  }
  print(
    "checkpoint of \(mebibytes) MiB: \(String(format: "%.2f", seconds)) s, \(latencies.count) puts beside it; µs:"
  )
  print("50 % \(at(0.5)), 99 % \(at(0.99)), 99.9 % \(at(0.999)), worst \(at(1))")
}

for threads in [1, 2, 4, 8, 16] {
  print("\(threads) threads: \(Int(try durablePuts(threads))) durable puts per second")
}
try putsBesideCheckpoint(mebibytes: CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1_024)
