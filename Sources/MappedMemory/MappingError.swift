public import SystemPackage

/// What goes wrong between a program, its files and the memory they are
/// mapped into.
///
/// The one error type of the module: what was attempted, on which file, why it
/// failed and what can be done about it.
public struct MappingError: Error, Sendable, Equatable {
  /// The kinds of failure.
  public enum Code: Sendable, Equatable {
    /// The system refused, for this reason.
    case system(Errno)
    /// The file no longer has storage for a part of the mapping: truncated,
    /// disk full, or an I/O error. What was read may be zeros, what was written
    /// may be gone.
    case lost
    /// An offset or address is not a multiple of the page size.
    case misaligned(value: Int64)
    /// A range lies outside of the mapping or reservation.
    case outOfBounds(offset: Int, length: Int, available: Int)
    /// The path names a directory, a pipe, a device or a socket.
    case notRegularFile
    /// A forked child used a handle that belongs to its parent.
    case inherited
    /// The platform has no such operation.
    case unsupported
  }

  /// The kind of failure.
  public let code: Code

  /// The system call, or the operation of this module, that failed.
  public let operation: String

  /// The file in question; `nil` for memory without a file.
  public let path: FilePath?

  /// What to do about it.
  public let advice: String

  /// The system's error number; for codes of this module the nearest one.
  public var errno: Errno {
    switch code {
    case .system(let errno): errno
    case .lost: .ioError
    case .misaligned, .outOfBounds: .invalidArgument
    case .notRegularFile: .operationNotSupportedByDevice
    case .inherited: .notPermitted
    case .unsupported: .notSupported
    }
  }

  /// Whether the system lacks the call, or refuses it to this process or for this file. A call
  /// that only saves time or space can then be left out.
  package var isRefusal: Bool {
    if case .system(let errno) = code { return errno.isRefusal }
    return code == .unsupported
  }

  /// The error of a mapping of the file at `path` that has lost its storage.
  public static func lost(_ path: FilePath?) -> MappingError {
    MappingError(.lost, "access", path)
  }

  /// An error with its advice.
  init(_ code: Code, _ operation: String, _ path: FilePath? = nil) {
    self.code = code
    self.operation = operation
    self.path = path
    self.advice = Self.advice(for: code, operation: operation)
  }

  /// A failed system call.
  init(_ call: SystemCall, _ errno: Errno, _ path: FilePath? = nil) {
    self.init(.system(errno), call.rawValue, path)
  }
}

extension MappingError: CustomStringConvertible {
  /// The operation, the file, the reason, and what to do about it.
  public var description: String {
    let subject = path.map { " of \($0)" } ?? ""
    return "\(operation)\(subject): \(reason). \(advice)"
  }

  private var reason: String {
    switch code {
    case .system(let errno): "\(errno) (errno \(errno.rawValue))"
    case .lost: "the mapping has lost its storage"
    case .misaligned(let value): "\(value) is not a multiple of the page size, \(PageSize.bytes) bytes"
    case .outOfBounds(let offset, let length, let available):
      "\(length) bytes at \(offset) do not lie within \(available) bytes"
    case .notRegularFile: "not a regular file"
    case .inherited: "the handle belongs to the parent process"
    case .unsupported: "not offered by this platform"
    }
  }
}

extension Errno {
  /// Whether kernels, file systems and filters of system calls answer this to a call that they
  /// lack or refuse.
  var isRefusal: Bool {
    switch self {
    case .noFunction, .notPermitted, .invalidArgument, .notSupported, .notSupportedOnSocket: true
    default: false
    }
  }
}

/// Runs a system call; an error names the call and the file.
@inline(__always)
func describing<Result: ~Copyable>(
  _ call: SystemCall, _ path: @autoclosure () -> FilePath?, _ body: () throws(Errno) -> Result
) throws(MappingError) -> Result {
  do {
    return try body()
  } catch {
    throw MappingError(call, error, path())
  }
}
