import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Memory that all processes of a run share and that outlives them: how far each lane is, and
/// what was called and returned. What a process stored here before it was killed is still here.
@safe
final class Board: Sendable {
  let histories: Int
  let lanes: Int

  // Words: one cache line for each lane, one for all, then the message and the records.
  private static let wordsPerLine = 8
  private static let messageWords = 512
  private static let wordsPerRecord = 8
  private let recordStart: Int
  private let byteCount: Int
  nonisolated(unsafe) private let base: UnsafeMutableRawPointer

  init(histories: Int, lanes: Int) {
    self.histories = histories
    self.lanes = lanes
    recordStart = (lanes + 1) * Self.wordsPerLine + Self.messageWords
    let records = histories * (lanes + 1) * Plan.operations
    byteCount = 8 * (recordStart + records * Self.wordsPerRecord)
    let mapped = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { fatalError("no memory") }
    unsafe base = mapped
  }

  deinit { unsafe munmap(base, byteCount) }

  private subscript(word: Int) -> UInt64 {
    /// Acquire pairs with the release of the setter: what was done before it is visible.
    get { unsafe atomic(word).pointee.load(ordering: .acquiring) }
    set { unsafe atomic(word).pointee.store(newValue, ordering: .releasing) }
  }

  private func atomic(_ word: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe (base + 8 * word).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  // MARK: How far each lane is

  /// How many histories a lane has done.
  subscript(done lane: Int) -> Int {
    get { Int(self[lane * Self.wordsPerLine]) }
    set { self[lane * Self.wordsPerLine] = UInt64(newValue) }
  }

  /// Which call a lane has come to.
  subscript(call lane: Int) -> Int {
    get { Int(self[lane * Self.wordsPerLine + 1]) }
    set { self[lane * Self.wordsPerLine + 1] = UInt64(newValue) }
  }

  var hasFailed: Bool { self[lanes * Self.wordsPerLine] != 0 }

  /// The first failure; empty if there is none.
  var message: String {
    let first = (lanes + 1) * Self.wordsPerLine
    let all = unsafe UnsafeRawBufferPointer(start: base + 8 * first, count: 8 * Self.messageWords)
    return unsafe String(decoding: all.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Says why all have to give up. Only the first call counts.
  func fail(_ text: String) {
    let flag = lanes * Self.wordsPerLine
    let (isFirst, _) = unsafe atomic(flag + 1).pointee.compareExchange(
      expected: 0, desired: 1, ordering: .sequentiallyConsistent)
    guard isFirst else { return }
    let first = 8 * (lanes + 1) * Self.wordsPerLine
    for (index, byte) in text.utf8.prefix(8 * Self.messageWords - 1).enumerated() {
      unsafe (base + first + index).storeBytes(of: byte, as: UInt8.self)
    }
    self[flag] = 1
  }

  // MARK: Records

  /// Where the record of a lane's call is. Lane `lanes` is for reading afterwards.
  private func record(_ history: Int, _ lane: Int, _ index: Int) -> Int {
    recordStart + ((history * (lanes + 1) + lane) * Plan.operations + index) * Self.wordsPerRecord
  }

  private enum State {
    static let none: UInt64 = 0
    static let invoked: UInt64 = 1
    static let returned: UInt64 = 2
    static let killed: UInt64 = 3
  }

  /// Notes that a call is about to be made.
  func invoke(_ call: Call, _ history: Int, _ lane: Int, _ index: Int) {
    let record = record(history, lane, index)
    self[record + 1] = call.kind.rawValue << 32 | UInt64(call.key) << 8 | UInt64(call.other)
    self[record + 2] = UInt64(call.value)
    self[record + 3] = Self.now()
    self[record] = State.invoked
    // The call does nothing before its beginning is noted.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  /// Notes what the call returned.
  func complete(_ answer: Answer, _ history: Int, _ lane: Int, _ index: Int) {
    // The call does nothing after its end is noted.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let record = record(history, lane, index)
    let now = Self.now()
    self[record + 5] = UInt64(answer.first)
    self[record + 6] = UInt64(answer.second)
    self[record + 4] = now
    self[record] = State.returned
  }

  /// Notes that a lane's process is gone, so that its present call will not return.
  func bury(_ lane: Int) {
    let history = self[done: lane]
    guard history < histories else { return }
    for index in 0..<Plan.operations {
      let record = record(history, lane, index)
      guard self[record] == State.invoked else { continue }
      self[record + 4] = Self.now()
      self[record] = State.killed
    }
  }

  /// The next call of a lane in its present history.
  func nextCall(_ lane: Int) -> Int {
    let history = self[done: lane]
    guard history < histories else { return 0 }
    return (0..<Plan.operations).first { self[record(history, lane, $0)] == State.none } ?? Plan.operations
  }

  /// All calls of a history.
  func history(_ number: Int) -> History {
    var operations: [Operation] = []
    for lane in 0...lanes {
      for index in 0..<Plan.operations {
        let record = record(number, lane, index)
        let state = self[record]
        guard state != State.none, let kind = Call.Kind(rawValue: self[record + 1] >> 32) else { continue }
        let call = Call(
          kind: kind, key: Int(self[record + 1] >> 8 & 0xff), other: Int(self[record + 1] & 0xff),
          value: UInt32(self[record + 2]))
        let answer = Answer(first: UInt32(self[record + 5]), second: UInt32(self[record + 6]))
        let time = self[record + 4]
        operations.append(
          Operation(
            worker: lane, call: call, invoked: self[record + 3],
            end: state == State.returned ? .returned(at: time, answer) : .killed(at: time)))
      }
    }
    return History(operations: operations)
  }

  /// A clock that all processes share, in nanoseconds.
  private static func now() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
