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
  /// The same file, wherever the process goes.
  var absolute: FilePath {
    guard !isAbsolute, let here = unsafe getcwd(nil, 0) else { return self }
    defer { unsafe free(here) }
    return unsafe FilePath(platformString: here).pushing(self)
  }
}
