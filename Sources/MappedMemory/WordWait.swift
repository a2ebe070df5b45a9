import CMappedMemory

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Waiting for a word in a mapping to change, for threads of all processes that map it.
package enum WordWait {
  /// Blocks while the 32 bits at `word` are `expected` and nobody calls ``wakeAll(_:)``, for at most
  /// `milliseconds`. May return earlier. Where the system cannot wait on a word of a mapping, this
  /// sleeps.
  ///
  /// The memory has to be readable; a private view of a file is another word.
  package static func wait(_ word: UnsafeRawPointer, while expected: UInt32, milliseconds: Int) {
    if unsafe kvmap_wait_on_word(word, expected, Int32(clamping: milliseconds)) == 0 { return }
    switch errno {
    case EAGAIN, EINTR, ETIMEDOUT: return
    default: _ = usleep(UInt32(clamping: milliseconds * 1_000))
    }
  }

  /// Wakes all threads that wait on `word`.
  package static func wakeAll(_ word: UnsafeRawPointer) { _ = unsafe kvmap_wake_word(word) }
}
