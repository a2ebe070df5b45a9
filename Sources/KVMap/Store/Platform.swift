import MappedMemory
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

/// Where the store takes the time from.
struct Clock: Sendable {
  /// Milliseconds since 1970.
  var now: @Sendable () -> UInt64

  static let system = Clock {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return milliseconds(time)
  }

  /// The first and the last instant that can be said stand for those beyond.
  static func milliseconds(_ time: timespec) -> UInt64 {
    if time.tv_sec < 0 { return 0 }
    let (whole, overflow) = UInt64(time.tv_sec).multipliedReportingOverflow(by: 1_000)
    let (sum, carry) = whole.addingReportingOverflow(UInt64(max(0, time.tv_nsec)) / 1_000_000)
    return overflow || carry ? .max : sum
  }
}

extension FilePath {
  /// The same file, wherever the process goes.
  var absolute: FilePath {
    guard !isAbsolute, let here = unsafe getcwd(nil, 0) else { return self }
    defer { unsafe free(here) }
    return unsafe FilePath(platformString: here).pushing(self)
  }
}

/// Lets the processor do something else while another process or thread finishes.
func pause(microseconds: Int) {
  var time = timespec(tv_sec: microseconds / 1_000_000, tv_nsec: (microseconds % 1_000_000) * 1_000)
  unsafe nanosleep(&time, nil)
}

extension StoreError {
  /// The system's refusal as the store's error.
  init(_ error: MappingError) {
    let code: Code =
      switch error.code {
      case .lost: .lost
      case .notRegularFile, .system(.isDirectory): .notAStore
      case .noStorage, .system(.noSpace), .system(.diskQuotaExceeded), .system(.fileTooLarge): .diskFull
      case .system(.noMemory): .notEnoughMemory
      case .system(.permissionDenied), .system(.notPermitted), .system(.readOnlyFileSystem):
        .permissionDenied
      case .system(.noSuchFileOrDirectory), .system(.notDirectory): .notFound
      default: .system
      }
    self.init(code, error.description, cause: error)
  }

  /// What kept a store from being created.
  static func cannotCreate(_ error: MappingError) -> StoreError {
    let converted = StoreError(error)
    if converted.code == .diskFull || converted.code == .notEnoughMemory { return converted }
    return StoreError(.cannotCreate, "the store cannot be created: \(error)", cause: error)
  }

  /// Runs a part of the creation of a store.
  static func creating<Result: ~Copyable>(
    _ body: () throws(MappingError) -> Result
  ) throws(StoreError) -> Result {
    do { return try body() } catch { throw cannotCreate(error) }
  }

  /// The same for address space of which so much was needed.
  init(_ error: MappingError, needing bytes: Int) {
    guard error.code == .system(.noMemory) else {
      self.init(error)
      return
    }
    self.init(
      .notEnoughMemory,
      "the store needs \(bytes) bytes of address space in one piece, which this process cannot have; "
        + MemoryLimits.advice,
      cause: error)
  }
}
