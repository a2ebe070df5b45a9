#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The path that the signal handler removes; a plain global, because a handler must not allocate or lock.
nonisolated(unsafe) private var partialPath: UnsafeMutablePointer<CChar>?

/// A file that must not outlive the process half-written.
enum PartialFile {
  private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

  /// Has the file at `path` removed if a signal ends the process. One file at a time.
  static func removeOnSignal(_ path: String) {
    unsafe partialPath = unsafe strdup(path)
    for number in signals {
      let previous = signal(number) { number in
        if let path = unsafe partialPath { unsafe unlink(path) }
        // The signal is blocked until the handler returns; then it ends the process as if unhandled.
        _ = signal(number, SIG_DFL)
        _ = raise(number)
      }
      // Whoever started the process with a signal ignored, as nohup does, wants it so.
      let wasIgnored = unsafe unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
      if wasIgnored {
        _ = signal(number, SIG_IGN)
      }
    }
  }

  /// The file is complete, or gone: signals only end the process again.
  static func settle() {
    unsafe partialPath = nil
  }
}
