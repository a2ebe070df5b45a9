import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Whether a stream is a terminal.
enum Terminal {
  static func isTerminal(_ descriptor: FileDescriptor) -> Bool {
    isatty(descriptor.rawValue) == 1
  }

  /// Whether the stream is a terminal that can move its cursor.
  static func isCapable(_ descriptor: FileDescriptor) -> Bool {
    isTerminal(descriptor) && environment("TERM") != "dumb"
  }

  /// Whether the user wants colour on the stream. `NO_COLOR` counts if it is not empty: <https://no-color.org>.
  static func hasColour(_ descriptor: FileDescriptor) -> Bool {
    isCapable(descriptor) && (environment("NO_COLOR") ?? "").isEmpty
  }

  private static func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }
}
