// The process's own id, and paths that stay valid when it changes its working directory.

import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The id of this process.
enum ProcessIdentifier {
  static var current: Int32 { getpid() }
}

extension FilePath {
  /// The path in absolute form, which names the same file when the process changes its working
  /// directory. The path itself if the working directory is unknown.
  var absolute: FilePath {
    guard !isAbsolute, let here = unsafe getcwd(nil, 0) else { return self }
    defer { unsafe free(here) }
    return unsafe FilePath(platformString: here).pushing(self)
  }
}
