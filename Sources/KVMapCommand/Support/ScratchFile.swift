// A file that is gone when the process is, also when a signal ends it.

import Synchronization
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The name of a file for this process alone. There is at most one at a time.
struct ScratchFile: ~Copyable {
  let path: String

  /// Chooses a name that nothing has; makes no file.
  init(in directory: FilePath, prefix: String) {
    let random = String(UInt64.random(in: .min ... .max), radix: 16)
    path = directory.appending("\(prefix)-\(getpid())-\(random)").string
    // Never freed: a handler may be using it.
    let name = unsafe UInt(bitPattern: strdup(path))
    ScratchFileAtSignals.name.store(name, ordering: .relaxed)
    ScratchFileAtSignals.installHandlers()
  }

  deinit {
    ScratchFileAtSignals.name.store(0, ordering: .relaxed)
    _ = unsafe unlink(path)
  }
}

private enum ScratchFileAtSignals {
  /// The address of the file's name; 0 for none.
  static let name = Atomic<UInt>(0)

  static func installHandlers() {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      _ = signal(number) { number in
        let name = ScratchFileAtSignals.name.load(ordering: .relaxed)
        if let name = unsafe UnsafePointer<CChar>(bitPattern: name) { _ = unsafe unlink(name) }
        _ = signal(number, SIG_DFL)
        _ = raise(number)
      }
    }
  }
}
