import Synchronization
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Memory that a test shares with a forked child and that outlives the child. What the child
/// stored here before it was killed is still here.
@safe
final class Board: Sendable {
  static let steadyKeys = 8

  /// 512 words, then a message.
  private static let byteCount = 8_192
  private static let messageOffset = 4_096
  nonisolated(unsafe) private let base: UnsafeMutableRawPointer

  init() {
    let mapped = unsafe mmap(
      nil, Self.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { fatalError("no memory") }
    unsafe base = mapped
  }

  deinit { unsafe munmap(base, Self.byteCount) }

  private func load(_ index: Int) -> UInt64 {
    // Acquire pairs with the child's release: what the child did before is visible.
    unsafe word(index).pointee.load(ordering: .acquiring)
  }

  private func store(_ value: UInt64, _ index: Int) {
    unsafe word(index).pointee.store(value, ordering: .releasing)
  }

  private func word(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe (base + 8 * index).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  var phase: KillPhase {
    get { KillPhase(rawValue: load(0)) ?? .starting }
    set { store(newValue.rawValue, 0) }
  }

  /// How many steps have returned in the present child.
  var returned: Int {
    get { Int(load(1)) }
    set { store(UInt64(newValue), 1) }
  }

  /// How many reads a reader has made.
  var reads: Int {
    get { Int(load(2)) }
    set { store(UInt64(newValue), 2) }
  }

  /// The least number that a steady key may have: that of the last step that put it and
  /// returned.
  subscript(floor key: Int) -> Int {
    get { Int(load(8 + key)) }
    set { store(UInt64(newValue), 8 + key) }
  }

  /// Why the child gave up; empty if it did not.
  var message: String {
    get {
      let all = unsafe UnsafeRawBufferPointer(
        start: base + Self.messageOffset, count: Self.byteCount - Self.messageOffset)
      return unsafe String(decoding: all.prefix { $0 != 0 }, as: UTF8.self)
    }
    set {
      for (index, byte) in (newValue + "\0").utf8.prefix(Self.byteCount - Self.messageOffset - 1).enumerated()
      {
        unsafe (base + Self.messageOffset + index).storeBytes(of: byte, as: UInt8.self)
      }
    }
  }
}
