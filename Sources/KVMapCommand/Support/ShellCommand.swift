// Running a shell command, so that neither a process nor a descriptor is left over, and that signals end both processes.

import CKVMapCommand
import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A command of the shell, which may be run any number of times, one at a time.
///
/// It gets a process group of its own: a signal that ends this process is passed on to whatever the shell has started.
struct ShellCommand {
  let text: String

  /// Runs the command to its end.
  ///
  /// - Parameters:
  ///   - input: its standard input. The command need not read all of it.
  ///   - variables: what its environment has besides that of this process; nil for a variable that it must not have.
  /// - Returns: its exit status, as the shell gives it: 128 and the signal's number if a signal ended it.
  func run(input: [UInt8], variables: [(name: String, value: String?)]) throws(Failure) -> Int32 {
    let (reading, writing) = try Self.makePipe()
    do throws(Failure) {
      try start(reading, Self.environment(with: variables))
    } catch {
      try? reading.close()
      try? writing.close()
      throw error
    }
    try? reading.close()
    // The command may end, or close its input, without having read everything.
    _ = try? writing.writeAll(input)
    try? writing.close()
    return RunningCommand.waitForEnd()
  }

  private func start(_ input: FileDescriptor, _ environment: [String]) throws(Failure) {
    #if canImport(Darwin)
      var actions: posix_spawn_file_actions_t?
      var attributes: posix_spawnattr_t?
    #else
      var actions = unsafe posix_spawn_file_actions_t()
      var attributes = posix_spawnattr_t()
    #endif
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, input.rawValue, STDIN_FILENO)

    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var defaults = sigset_t()
    unsafe sigemptyset(&defaults)
    for signal in [SIGPIPE] + RunningCommand.signals { unsafe sigaddset(&defaults, signal) }
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

    let arguments = ["/bin/sh", "-c", text]
    let error = RunningCommand.start { mask in
      var mask = mask
      unsafe posix_spawnattr_setsigmask(&attributes, &mask)
      return unsafe withStrings(arguments) { arguments in
        unsafe withStrings(environment) { environment in
          var process: pid_t = 0
          let error = unsafe posix_spawn(&process, "/bin/sh", &actions, &attributes, arguments, environment)
          return error == 0 ? .success(process) : .failure(Errno(rawValue: error))
        }
      }
    }
    if let error { throw Failure(.failure, "cannot start /bin/sh for the command of --exec: \(error)") }
  }

  /// Neither end is inherited.
  private static func makePipe() throws(Failure) -> (reading: FileDescriptor, writing: FileDescriptor) {
    do {
      let ends = try FileDescriptor.pipe()
      for end in [ends.readEnd, ends.writeEnd] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
      return (ends.readEnd, ends.writeEnd)
    } catch {
      throw Failure(.failure, "cannot make a pipe to the command of --exec: \(error)")
    }
  }

  private static func environment(with variables: [(name: String, value: String?)]) -> [String] {
    var entries: [String] = []
    if let inherited = unsafe kvmap_environment() {
      var index = 0
      while let entry = unsafe inherited[index] {
        entries.append(unsafe String(cString: entry))
        index += 1
      }
    }
    entries.removeAll { entry in variables.contains { entry.hasPrefix($0.name + "=") } }
    return entries + variables.compactMap { name, value in value.map { "\(name)=\($0)" } }
  }
}

/// Passes `texts` as an array of C strings with a null pointer at its end.
private func withStrings<R>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R) -> R {
  let pointers = unsafe texts.map { unsafe strdup($0) }
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe body(pointers + [nil])
}

/// The command that runs, for the handler of the signals that end this process.
///
/// Signals are held back by blocking them in one thread, so there must be no other: a handle has none before it commits.
enum RunningCommand {
  /// What ends this process.
  static let signals = [SIGINT, SIGTERM, SIGHUP]

  /// The command's process and process group; 0 for none.
  private static let process = Atomic<pid_t>(0)
  /// The signal that this process ends by when the command has ended; 0 for none.
  private static let received = Atomic<Int32>(0)

  /// From now on these signals end the command too. An interrupt ends this process with status 0, another as it does any
  /// process. The first one is passed on to the command, which may still tidy up; the second kills it.
  static func endAtSignals() {
    // A handler must not be the first to use them.
    process.store(0, ordering: .relaxed)
    received.store(0, ordering: .relaxed)
    for name in signals {
      _ = signal(name) { name in
        let running = RunningCommand.process.load(ordering: .relaxed)
        if running == 0 { return RunningCommand.end(by: name) }
        let isFirst = RunningCommand.received.exchange(name, ordering: .relaxed) == 0
        _ = kill(-running, isFirst ? name : SIGKILL)
        // It may have been stopped, as what reads a terminal from the background is.
        _ = kill(-running, SIGCONT)
      }
    }
  }

  /// Lets `spawn` start the command, and notes its process before a signal can come.
  ///
  /// - Parameter spawn: is passed the signals that the command is to block.
  static func start(_ spawn: (sigset_t) -> Result<pid_t, Errno>) -> Errno? {
    blockingSignals { before in
      switch spawn(before) {
      case .success(let started):
        process.store(started, ordering: .relaxed)
        return nil
      case .failure(let error):
        return error
      }
    }
  }

  /// Waits for the command to end; ends this process if a signal asked for it meanwhile.
  static func waitForEnd() -> Int32 {
    let running = process.load(ordering: .relaxed)
    var information = unsafe siginfo_t()
    // Its number is not given to another process before it is forgotten here.
    while unsafe waitid(P_PID, id_t(running), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
    var status: Int32 = 0
    blockingSignals { _ in
      process.store(0, ordering: .relaxed)
      while unsafe waitpid(running, &status, 0) == -1, errno == EINTR {}
    }
    let name = received.load(ordering: .relaxed)
    if name != 0 { end(by: name) }
    let signal = status & 0x7f
    return signal == 0 ? status >> 8 & 0xff : 128 + signal
  }

  private static func end(by name: Int32) {
    if name == SIGINT { _exit(0) }
    _ = signal(name, SIG_DFL)
    _ = raise(name)
  }

  private static func blockingSignals<R>(_ body: (sigset_t) -> R) -> R {
    var set = sigset_t()
    var before = sigset_t()
    unsafe sigemptyset(&set)
    for signal in signals { unsafe sigaddset(&set, signal) }
    unsafe pthread_sigmask(SIG_BLOCK, &set, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    return body(before)
  }
}
