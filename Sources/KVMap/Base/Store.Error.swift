public import MappedMemory

extension Store {
  /// Why a call on a store failed.
  ///
  /// `code` is for programs, `message` for people: the message says what failed, on which file,
  /// why, and what to do about it.
  public struct Error: Swift.Error, Sendable, CustomStringConvertible {
    /// The kinds of failure. More may be added; treat unknown ones as failures.
    public struct Code: RawRepresentable, Hashable, Sendable {
      /// The code's name.
      public let rawValue: String

      /// Makes a code with that name.
      public init(rawValue: String) { self.rawValue = rawValue }

      /// There is no store at the path, and the call may not create one.
      public static let notFound = Code(rawValue: "notFound")
      /// The file is not a KVMap store.
      public static let notAStore = Code(rawValue: "notAStore")
      /// The file was written by a newer version of the format.
      public static let newerFormat = Code(rawValue: "newerFormat")
      /// Part of the file does not hold what was written there.
      public static let damaged = Code(rawValue: "damaged")
      /// The key is longer than 65,536 bytes.
      public static let keyTooLong = Code(rawValue: "keyTooLong")
      /// The value is longer than 2^46 bytes.
      public static let valueTooLong = Code(rawValue: "valueTooLong")
      /// The value was asked for as text, but is not UTF-8.
      public static let invalidText = Code(rawValue: "invalidText")
      /// The value is not a number in decimal digits, or it, or the sum, does not fit into the type
      /// that was asked for.
      public static let notANumber = Code(rawValue: "notANumber")
      /// The value cannot be read as the type that was asked for, or cannot be encoded.
      public static let invalidValue = Code(rawValue: "invalidValue")
      /// Another process or thread held what this call needs for longer than the timeout, or a
      /// program with another version of KVMap has the store open.
      public static let busy = Code(rawValue: "busy")
      /// The disk, the quota or the file size limit is exhausted; nothing was changed.
      public static let diskFull = Code(rawValue: "diskFull")
      /// The process cannot get the memory or address space that the call needs; nothing was
      /// changed.
      public static let notEnoughMemory = Code(rawValue: "notEnoughMemory")
      /// The system refuses access to the file.
      public static let permissionDenied = Code(rawValue: "permissionDenied")
      /// The handle was opened for reading only.
      public static let readOnly = Code(rawValue: "readOnly")
      /// The file is on a network file system, where mappings are not shared.
      public static let networkFileSystem = Code(rawValue: "networkFileSystem")
      /// The file cannot be created.
      public static let cannotCreate = Code(rawValue: "cannotCreate")
      /// The file was cut short by another program, or part of it could not be read or written
      /// while it was mapped. Close the store and open it again: only then is it known whether a
      /// change that failed with this error took effect.
      public static let lost = Code(rawValue: "lost")
      /// The path no longer names the file that was opened.
      public static let replaced = Code(rawValue: "replaced")
      /// A sync failed: whether the last changes are durable is unknown.
      public static let outcomeUnknown = Code(rawValue: "outcomeUnknown")
      /// The handle was closed, or belongs to the parent of this forked process.
      public static let closed = Code(rawValue: "closed")
      /// The call was made from within a transaction on the same handle.
      public static let reentrant = Code(rawValue: "reentrant")
      /// What was given as a path does not name a file, for example a URL that is not a file URL.
      public static let invalidPath = Code(rawValue: "invalidPath")
      /// Backups do not belong together, or changes between them are missing.
      public static let backupMismatch = Code(rawValue: "backupMismatch")
      /// Any other error of the system.
      public static let system = Code(rawValue: "system")
    }

    // A class, so that an error is one pointer wide and throwing functions stay cheap.
    private final class Contents: Sendable {
      let code: Code
      let message: String
      let holder: Int32?
      let cause: MappingError?

      init(code: Code, message: String, holder: Int32?, cause: MappingError?) {
        self.code = code
        self.message = message
        self.holder = holder
        self.cause = cause
      }
    }

    private let contents: Contents

    /// Makes an error, for example for a ``Store/ByteDecodable`` that cannot be made of the bytes:
    ///
    ///     throw Store.Error(.invalidValue, "the value is not a version such as 1.2.3")
    ///
    /// Where the value was read with its key, the store puts its own name and the key in front.
    ///
    /// - Parameters:
    ///   - code: what kind of failure it is.
    ///   - message: what failed, why, and what to do.
    ///   - holder: the process that a `busy` call waited for.
    ///   - cause: the system's error that caused this one.
    public init(_ code: Code, _ message: String, holder: Int32? = nil, cause: MappingError? = nil) {
      contents = Contents(code: code, message: message, holder: holder, cause: cause)
    }

    /// What kind of failure it is.
    public var code: Code { contents.code }
    /// What failed, on which file, why, and what to do.
    public var message: String { contents.message }
    /// For `busy`: the process this call waited for, if known. It holds the write lock, recovers
    /// the store, writes a checkpoint, truncates the file, or has the store open with another
    /// version. It can be this process itself.
    public var holder: Int32? { contents.holder }
    /// The system's error that caused this one, if there was one.
    public var cause: MappingError? { contents.cause }

    /// The message.
    public var description: String { message }

    /// The same error, with a message that begins with the name of the store.
    func naming(_ store: String) -> Store.Error {
      if message.hasPrefix("\(store): ") { return self }
      return Store.Error(code, "\(store): \(message)", holder: holder, cause: cause)
    }

    /// The same error, with a message that begins with the key.
    package func naming(key: RawSpan) -> Store.Error {
      let bytes = unsafe key.withUnsafeBytes { unsafe [UInt8]($0) }
      return Store.Error(code, "key \(TerminalText.quote(bytes)): \(message)", holder: holder, cause: cause)
    }

    /// The same error, with a message that begins with the name of the store and the key.
    package func naming(_ store: String, key: RawSpan) -> Store.Error { naming(key: key).naming(store) }

    /// A `damaged` error for `what`, which lies at `offset` of the file; `found` says what is
    /// wrong.
    static func damaged(_ what: String, at offset: Int, _ found: String) -> Store.Error {
      Store.Error(
        .damaged,
        "\(what) at offset \(UInt64(offset).hexadecimal) is damaged: \(found); "
          + "run 'kvmap verify' to list all damage, and keep a copy of the file")
    }
  }
}
