import CKVMapCommand
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Makes the streams safe to use.
func prepareProcess() {
  // A store that is opened while a standard stream is closed would get the stream's number, and messages would
  // be written into the store. A placeholder refuses reading or writing, like the closed stream.
  for number in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(number, F_GETFD) == -1 {
    let placeholder = unsafe open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    // The device may be missing, as in a bare root directory.
    if placeholder == -1 { _ = unsafe open("/", O_RDONLY | O_DIRECTORY) }
  }
  // A write to a closed pipe fails then, instead of ending the process before it has cleaned up.
  _ = signal(SIGPIPE, SIG_IGN)
}

/// From now on an interrupt ends the process with status 0. What is to be printed has been flushed whenever the process
/// waits.
func endAtInterrupt() {
  _ = signal(SIGINT) { _ in _exit(0) }
}

func exit(_ status: ExitStatus) -> Never {
  exit(status.rawValue)
}

extension ClosedPipe {
  /// Ends the process by SIGPIPE, like a program that does not handle the signal.
  func endProcess() -> Never {
    _ = signal(SIGPIPE, SIG_DFL)
    _ = raise(SIGPIPE)
    // The signal is blocked.
    _exit(128 + SIGPIPE)
  }
}

/// The arguments after the program's name.
///
/// Throws if one is not valid UTF-8: Swift would silently replace bytes in it, and a key or a file name would become
/// another.
func commandLineArguments() throws(Failure) -> [String] {
  let vector = unsafe kvmap_arguments() ?? CommandLine.unsafeArgv
  var arguments: [String] = []
  // The name may be missing too.
  guard unsafe vector[0] != nil else { return [] }
  while let argument = unsafe vector[arguments.count + 1] {
    guard let text = unsafe String(validatingCString: argument) else {
      throw Failure(
        .usage,
        """
        argument \(arguments.count + 1) is not valid UTF-8; give such a key with --key-hex or --key-base64, \
        such a value on standard input, and to such a file a link with another name
        """)
    }
    arguments.append(text)
  }
  return arguments
}
