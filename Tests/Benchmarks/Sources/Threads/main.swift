/// Measures calls of threads and processes that run at the same time.
///
///     swift run -c release kvmap-threads [MEBIBYTES]
///
/// Prints how many durable puts a second 1 to 16 threads make; they share syncs. Prints how many puts and gets a
/// second two processes make, each alone and both together. Then fills a store with so many MiB (1,024), overwrites
/// half of its records, and prints the latency of puts while it writes a checkpoint.
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
    "checkpoint of \(mebibytes) MiB: \(String(format: "%.2f", seconds)) s, \(latencies.count) puts meanwhile; µs:"
  )
  print("50 % \(at(0.5)), 99 % \(at(0.99)), 99.9 % \(at(0.999)), worst \(at(1))")
}

/// What a process of its own does to the store for some seconds: the operations a second, and how long
/// the longest took, in milliseconds.
struct Pace: Codable {
  var perSecond: Double
  var worst: Double
}

enum Work: String {
  case put, get
}

/// Overwrites or reads 100,000 records in random order, and prints its pace as JSON.
func work(_ work: Work, path: String, seconds: Double) throws {
  let store = try Store(path: path)
  let value = [UInt8](repeating: 7, count: 100)
  var random = SystemRandomNumberGenerator()
  var (count, worst) = (0, Duration.zero)
  let clock = ContinuousClock()
  let start = clock.now
  var now = start
  while now - start < .seconds(seconds) {
    let key = "\(UInt64.random(in: 0..<100_000, using: &random))"
    switch work {
    case .put: try store.put(value, forKey: key)
    case .get: _ = try store.get(key)
    }
    let end = clock.now
    worst = max(worst, end - now)
    now = end
    count += 1
  }
  let pace = Pace(perSecond: Double(count) / ((now - start) / .seconds(1)), worst: worst / .milliseconds(1))
  print(String(decoding: try JSONEncoder().encode(pace), as: UTF8.self))
}

/// Runs processes that do this at the same time.
func together(_ kinds: [Work]) throws -> [Pace] {
  let folder = try directory()
  defer { try? FileManager.default.removeItem(at: folder) }
  let path = folder.appendingPathComponent("store").path
  let store = try Store(path: path)
  for number in 0..<100_000 { try store.put([UInt8](repeating: 7, count: 100), forKey: "\(number)") }
  let running = try kinds.map { kind in
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = ["--\(kind.rawValue)", path, "5"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    return (process, output)
  }
  return try running.map { process, output in
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return try JSONDecoder().decode(Pace.self, from: data)
  }
}

func printTogether(_ title: String, _ kinds: [Work]) throws {
  let paces = try together(kinds).map {
    "\(Int($0.perSecond)) a second, the longest \(String(format: "%.1f", $0.worst)) ms"
  }
  print("\(title): \(paces.joined(separator: "; "))")
}

let arguments = CommandLine.arguments.dropFirst()
if arguments.count == 3, let kind = Work(rawValue: String(arguments[1].dropFirst(2))) {
  try work(kind, path: arguments[2], seconds: Double(arguments[3]) ?? 5)
  exit(0)
}
for threads in [1, 2, 4, 8, 16] {
  print("\(threads) threads: \(Int(try durablePuts(threads))) durable puts per second")
}
try printTogether("one process puts", [.put])
try printTogether("two processes put", [.put, .put])
try printTogether("one process gets", [.get])
try printTogether("one process gets while another puts", [.get, .put])
try putsBesideCheckpoint(mebibytes: arguments.first.flatMap { Int($0) } ?? 1_024)
