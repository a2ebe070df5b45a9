#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

import CMappedMemory

/// Occupies the numbers of standard streams that this process was started without, while a file
/// is being opened.
///
/// If a file got the number of a standard stream, anything that a part of the process prints
/// would be written into it. So a placeholder that can be neither read nor written takes each
/// missing number during the call. Threads share the placeholders; the last thread to leave
/// removes them.
enum MissingStreams {
  private static let lock = SpinLock()
  // All of these are touched only under `lock`.
  /// The process that `users` counts threads of; see `kvmap_process_generation`.
  nonisolated(unsafe) private static var process: UInt32 = 0
  nonisolated(unsafe) private static var users = 0
  /// A bit for each number that has a placeholder.
  nonisolated(unsafe) private static var taken: Int32 = 0

  private static let streams = STDIN_FILENO...STDERR_FILENO

  static func withPlaceholders<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    lock.withLock { placePlaceholders() }
    defer { lock.withLock { removePlaceholders() } }
    return try body()
  }

  private static func placePlaceholders() {
    let current = kvmap_process_generation()
    // A forked child has none of its parent's threads.
    if unsafe process != current { unsafe users = 0 }
    unsafe process = current
    unsafe users += 1
    for stream in streams where fcntl(stream, F_GETFD) == -1 {
      let number = unsafe open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      if streams.contains(number) {
        unsafe taken |= 1 << number
      } else if number >= 0 {
        // Another part of the process has just taken the missing number.
        close(number)
      }
    }
  }

  /// Whether the number still names the placeholder: another part of the process may have put
  /// a file of its own there.
  private static func isPlaceholder(_ number: Int32) -> Bool {
    var (root, found) = (stat(), stat())
    guard unsafe stat("/", &root) == 0, unsafe fstat(number, &found) == 0 else { return false }
    return root.st_ino == found.st_ino && root.st_dev == found.st_dev
  }

  private static func removePlaceholders() {
    unsafe users -= 1
    if unsafe users > 0 { return }
    for stream in streams where unsafe taken & 1 << stream != 0 && isPlaceholder(stream) { close(stream) }
    unsafe taken = 0
  }
}
