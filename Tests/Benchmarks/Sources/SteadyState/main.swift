/// Overwrites records of a store at random for a long time, and prints the store's size and the latency
/// of puts.
///
///     swift run -c release kvmap-steady-state [--records 1000000] [--overwrites 20000000] [--sizes 100 | 8-4096]
///       [--subject kvmap | kvmap-beside | kvmap-exclusive | gdbm] [--directory DIRECTORY]
///
/// Prints a line for each twentieth of the work: how many overwrites are done; the file's allocated
/// bytes and, as the store counts them, what they are for; the promised bound, 2 x (records + index) +
/// 64 MiB; and the share of the bound that is allocated. At the end it prints the latency of puts at
/// several shares, and how many bytes were written to the disk for each byte of keys and values. With
/// `kvmap-beside` a reader, snapshots and a second writer run meanwhile; space that the snapshots keep
/// from being reused is not in the bound.
import Foundation

struct Options {
  var records = 1_000_000
  var overwrites = 20_000_000
  var sizes = 100...100
  var subject = "kvmap"
  var directory = FileManager.default.temporaryDirectory.path

  init(_ words: ArraySlice<String>) throws {
    var words = words.makeIterator()
    while let word = words.next() {
      guard let value = words.next() else { throw Failure("\(word) needs a value") }
      switch word {
      case "--records": records = try Self.number(value)
      case "--overwrites": overwrites = try Self.number(value)
      case "--sizes":
        let ends = try value.split(separator: "-").map { try Self.number(String($0)) }
        guard let first = ends.first, let last = ends.last, first <= last else {
          throw Failure("--sizes takes N or N-M")
        }
        sizes = first...last
      case "--subject": subject = value
      case "--directory": directory = value
      default: throw Failure("unknown option \(word)")
      }
    }
  }

  private static func number(_ word: String) throws -> Int {
    guard let number = Int(word), number > 0 else { throw Failure("\(word) is no positive number") }
    return number
  }
}

/// SplitMix64.
struct Generator {
  var state: UInt64 = 42
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
  mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }
}

/// How often each latency occurred, in nanoseconds. 16 steps from each power of two to the next.
struct Histogram {
  private var counts = [Int](repeating: 0, count: 64 * 16)
  private(set) var largest: UInt64 = 0
  private var total = 0

  @inline(__always)
  mutating func add(_ value: UInt64) {
    let high = 63 - max(value, 16).leadingZeroBitCount
    counts[high * 16 + Int((value >> UInt64(high - 4)) & 15)] += 1
    largest = max(largest, value)
    total += 1
  }

  func value(at share: Double) -> UInt64 {
    var left = Int(Double(total) * share)
    for (index, count) in counts.enumerated() {
      left -= count
      if left < 0 { return UInt64(16 + index % 16) << UInt64(index / 16 - 4) }
    }
    return largest
  }
}

func now() -> UInt64 { clock_gettime_nsec_np(CLOCK_MONOTONIC) }

#if !canImport(Darwin)
  func clock_gettime_nsec_np(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
#endif

func allocated(_ path: String) -> Int {
  var status = stat()
  guard unsafe stat(path, &status) == 0 else { return 0 }
  return Int(status.st_blocks) * 512
}

/// How many bytes this process has caused the system to write to disks, as Linux counts them.
func bytesWritten() -> Int {
  guard let text = try? String(contentsOfFile: "/proc/self/io", encoding: .utf8) else { return 0 }
  for line in text.split(separator: "\n") where line.hasPrefix("write_bytes:") {
    return Int(line.split(separator: " ")[1]) ?? 0
  }
  return 0
}

/// The key of a record: 16 bytes.
func makeKey(_ number: Int) -> [UInt8] {
  var key = [UInt8](repeating: 0, count: 16)
  setKey(&key, number)
  return key
}

func setKey(_ key: inout [UInt8], _ number: Int) {
  unsafe key.withUnsafeMutableBytes {
    unsafe $0.storeBytes(of: UInt64(number), as: UInt64.self)
    unsafe $0.storeBytes(of: ~UInt64(number), toByteOffset: 8, as: UInt64.self)
  }
}

func run(_ options: Options) throws {
  let path = options.directory + "/steady-\(getpid())"
  defer { try? FileManager.default.removeItem(atPath: path) }
  var subject: any Subject =
    switch options.subject {
    case "kvmap", "kvmap-beside": try KVMapSubject(path, exclusive: false)
    case "kvmap-exclusive": try KVMapSubject(path, exclusive: true)
    case "gdbm": try GDBMSubject(path)
    default: throw Failure("unknown subject \(options.subject)")
    }
  var generator = Generator()
  let values = (0...UInt8.max).map { byte in
    [UInt8](repeating: byte, count: options.sizes.lowerBound + generator.below(options.sizes.count))
  }
  var userBytes = 0
  var key = makeKey(0)
  func put(_ number: Int) throws {
    setKey(&key, number)
    let value = values[Int(truncatingIfNeeded: generator.next() % UInt64(values.count))]
    userBytes += key.count + value.count
    try subject.put(key, value)
  }
  for number in 0..<options.records { try put(number) }
  let beside =
    options.subject == "kvmap-beside" ? Beside(path, records: options.records, values: values) : nil
  let mebibyte = 1_048_576.0
  let before = bytesWritten()
  userBytes = 0
  var histogram = Histogram()
  let start = now()
  var timed: UInt64 = 0
  print(
    "overwrites  MiB allocated = records + index + garbage + waiting + spare + rest  bound  share of bound")
  var largestShare = 0.0
  for number in 0...options.overwrites {
    if number % max(1, options.overwrites / 400) == 0 {
      let parts = try subject.parts()
      let bytes = allocated(path)
      let known = [parts.records, parts.index, parts.garbage, parts.waiting, parts.spare]
      let bound = 2 * Double(parts.records + parts.index) + 64 * mebibyte
      let share = Double(bytes) / bound
      largestShare = max(largestShare, share)
      if number % max(1, options.overwrites / 20) == 0 {
        let columns = ([bytes] + known + [bytes - known.reduce(0, +), Int(bound)]).map {
          String(format: "%.1f", Double($0) / mebibyte)
        }
        print(number, columns.joined(separator: "  "), String(format: "%.3f", share), separator: "  ")
      }
    }
    let from = now()
    try put(generator.below(options.records))
    let taken = now() - from
    timed += taken
    histogram.add(taken)
  }
  print("largest share of the bound, measured 400 times: \(String(format: "%.3f", largestShare))")
  if let beside {
    try beside.stop()
    print("meanwhile: \(beside.counts)")
  }
  try subject.close()
  let shares = [0.5, 0.99, 0.999, 0.9999].map { "\($0 * 100) %: \(histogram.value(at: $0))" }
  print(
    "put, ns: mean \(timed / UInt64(options.overwrites)), \(shares.joined(separator: ", ")), worst \(histogram.largest)"
  )
  print("seconds: \((now() - start) / 1_000_000_000)")
  print(
    "bytes to disk for each byte of key and value: \(String(format: "%.2f", Double(bytesWritten() - before) / Double(userBytes)))"
  )
}

do {
  try run(Options(CommandLine.arguments.dropFirst()))
} catch {
  FileHandle.standardError.write(Data("kvmap-steady-state: \(error)\n".utf8))
  exit(1)
}
