import CMappedMemory
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The mapped file as bytes at offsets. Every raw load and store of the store is here.
///
/// Only assertions check offsets; callers check a number from the file before they use it as an
/// offset. Numbers are little-endian in the file on every host.
@safe
struct MappedBytes: @unchecked Sendable {
  // Sendable: the pointer never changes. It points to shared memory, which is accessed by the
  // protocol of the format (release stores, acquire loads, generation).
  let base: UnsafeMutableRawPointer
  #if CRASH_SIMULATION
    /// How many bytes can be accessed at `base`; those that were mapped elsewhere since cannot.
    private let count: Int
  #endif

  /// - Parameter count: how many bytes can be accessed. Only test builds use it: there an access
  ///   past them traps.
  @inline(__always)
  init(base: UnsafeMutableRawPointer, count: Int) {
    unsafe self.base = base
    #if CRASH_SIMULATION
      self.count = count
    #endif
  }

  @inline(__always)
  private func check(_ offset: Int, _ size: Int) {
    #if CRASH_SIMULATION
      precondition(offset >= 0 && size <= count && offset <= count - size, "an access beyond what is mapped")
    #endif
  }

  // MARK: Plain loads and stores

  @inline(__always)
  func load8(_ offset: Int) -> UInt8 {
    check(offset, 1)
    return unsafe base.load(fromByteOffset: offset, as: UInt8.self)
  }

  @inline(__always)
  func load16(_ offset: Int) -> UInt16 {
    check(offset, 2)
    return unsafe UInt16(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }

  @inline(__always)
  func load32(_ offset: Int) -> UInt32 {
    check(offset, 4)
    return unsafe UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  @inline(__always)
  func load64(_ offset: Int) -> UInt64 {
    check(offset, 8)
    return unsafe UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  @inline(__always)
  func store8(_ value: UInt8, _ offset: Int) {
    check(offset, 1)
    unsafe base.storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
    noteStore(offset, 1)
  }

  @inline(__always)
  func store16(_ value: UInt16, _ offset: Int) {
    check(offset, 2)
    unsafe base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt16.self)
    noteStore(offset, 2)
  }

  @inline(__always)
  func store32(_ value: UInt32, _ offset: Int) {
    check(offset, 4)
    unsafe base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
    noteStore(offset, 4)
  }

  @inline(__always)
  func store64(_ value: UInt64, _ offset: Int) {
    check(offset, 8)
    unsafe base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
    noteStore(offset, 8)
  }

  // MARK: Words shared with other threads and processes

  @inline(__always)
  private func atomic(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    assert(offset % 8 == 0)
    check(offset, 8)
    return unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inline(__always)
  func loadRelaxed(_ offset: Int) -> UInt64 {
    unsafe UInt64(littleEndian: atomic(offset).pointee.load(ordering: .relaxed))
  }

  @inline(__always)
  func loadAcquire(_ offset: Int) -> UInt64 {
    unsafe UInt64(littleEndian: atomic(offset).pointee.load(ordering: .acquiring))
  }

  @inline(__always)
  func storeRelaxed(_ value: UInt64, _ offset: Int) {
    unsafe atomic(offset).pointee.store(value.littleEndian, ordering: .relaxed)
    noteStore(offset, 8)
  }

  @inline(__always)
  func storeRelease(_ value: UInt64, _ offset: Int) {
    unsafe atomic(offset).pointee.store(value.littleEndian, ordering: .releasing)
    noteStore(offset, 8)
  }

  @inline(__always)
  func storeSequentiallyConsistent(_ value: UInt64, _ offset: Int) {
    unsafe atomic(offset).pointee.store(value.littleEndian, ordering: .sequentiallyConsistent)
    noteStore(offset, 8)
  }

  @inline(__always)
  func loadSequentiallyConsistent(_ offset: Int) -> UInt64 {
    unsafe UInt64(littleEndian: atomic(offset).pointee.load(ordering: .sequentiallyConsistent))
  }

  /// Stores `value` if the word still is `expected`, and returns whether it was.
  @inline(__always)
  func exchange(_ expected: UInt64, for value: UInt64, _ offset: Int) -> Bool {
    let isStored = unsafe atomic(offset).pointee.compareExchange(
      expected: expected.littleEndian, desired: value.littleEndian, ordering: .sequentiallyConsistent
    ).exchanged
    if isStored { noteStore(offset, 8) }
    return isStored
  }

  // MARK: Ranges

  @inline(__always)
  func copy(_ source: RawSpan, to offset: Int) {
    check(offset, source.byteCount)
    unsafe source.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      unsafe memcpy(base + offset, start, bytes.count)
    }
    noteStore(offset, source.byteCount)
  }

  func copy(from source: Int, to offset: Int, count: Int) {
    check(source, count)
    check(offset, count)
    unsafe memcpy(base + offset, base + source, count)
    noteStore(offset, count)
  }

  func zero(_ offset: Int, count: Int) {
    check(offset, count)
    unsafe memset(base + offset, 0, count)
    noteStore(offset, count)
  }

  @inline(__always)
  func equals(_ key: RawSpan, at offset: Int) -> Bool {
    check(offset, key.byteCount)
    return unsafe key.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return true }
      return unsafe memcmp(base + offset, start, bytes.count) == 0
    }
  }

  /// The bytes at `offset`. While the span is in use, the caller keeps the mapping alive, and
  /// whatever protects the bytes from reuse.
  @inline(__always)
  @_lifetime(immortal)
  func span(_ offset: Int, count: Int) -> RawSpan {
    check(offset, count)
    let span = unsafe RawSpan(_unsafeStart: base + offset, byteCount: count)
    return unsafe _overrideLifetime(span, borrowing: ())
  }

  func array(_ offset: Int, count: Int) -> [UInt8] {
    // Otherwise the initializer would write to the runtime's only empty array, from any thread.
    if count == 0 { return [] }
    check(offset, count)
    // The initializer with an uninitialized buffer takes twice as long: it is not specialized.
    return unsafe [UInt8](UnsafeRawBufferPointer(start: base + offset, count: count))
  }

  /// Asks the processor to load a cache line; any address is allowed.
  @inline(__always)
  func prefetch(_ offset: Int) {
    unsafe kvmap_prefetch(base + offset)
  }

  /// Stores a word of each page again, unchanged, so that the next sync writes the page even if
  /// an earlier, failed write left it marked clean.
  func dirtyAgain(_ offset: Int, count: Int) {
    // First the word at `offset`, then the first word of each further page.
    var word = offset & ~7
    while word < offset + count {
      storeRelaxed(loadRelaxed(word), word)
      word = (word / Layout.pageBytes + 1) * Layout.pageBytes
    }
  }

  /// Reports each store to the crash simulator; does nothing in any other build.
  @inline(__always)
  private func noteStore(_ offset: Int, _ count: Int) {
    #if CRASH_SIMULATION
      unsafe StoreObserver.current?.body(base, offset, count)
    #endif
  }
}

#if CRASH_SIMULATION
  /// Its body is called right after every store of one thread into a mapped store.
  @safe
  final class StoreObserver {
    let body: (UnsafeMutableRawPointer, Int, Int) -> Void

    init(_ body: @escaping (UnsafeMutableRawPointer, Int, Int) -> Void) { unsafe self.body = body }

    private static let key: pthread_key_t = {
      var key = pthread_key_t()
      unsafe pthread_key_create(&key, nil)
      return key
    }()

    /// The observer of this thread. The code that sets it keeps it alive.
    static var current: StoreObserver? {
      get {
        guard let pointer = unsafe pthread_getspecific(key) else { return nil }
        return unsafe Unmanaged<StoreObserver>.fromOpaque(pointer).takeUnretainedValue()
      }
      set {
        unsafe pthread_setspecific(key, newValue.map { unsafe Unmanaged.passUnretained($0).toOpaque() })
      }
    }
  }
#endif
