#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

import CMappedMemory

/// Stands in for the standard streams that this process was started without, while something
/// is being opened.
///
/// A file that got the number of one would have whatever any part of the process prints written
/// into it. So the numbers that are missing are taken meanwhile, by something that can be neither
/// read nor written. They are given back when no thread opens anything any more: one thread's
/// placeholder is what the others find there.
enum MissingStreams {
  private static let lock = SpinLock()
  // All of these are touched only under `lock`.
  /// The process that the count of users is about; see `kvmap_process_generation`.
  nonisolated(unsafe) private static var process: UInt32 = 0
  nonisolated(unsafe) private static var users = 0
  /// A bit for each number that has been taken.
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
        // Another part of the process has taken the missing one just now.
        close(number)
      }
    }
  }

  /// Whether the number is still the placeholder's: another part of the process may have put a
  /// file of its own there.
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
