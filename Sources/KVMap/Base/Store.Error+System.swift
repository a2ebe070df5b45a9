import MappedMemory
import SystemPackage

/// Errors of the system and of the mapping layer, as errors of the store.
extension Store.Error {
  /// Converts an error of the mapping layer; the code is the one that fits it best.
  init(_ error: MappingError) {
    let code: Code =
      switch error.code {
      case .lost: .lost
      case .notRegularFile, .system(.isDirectory): .notAStore
      case .system(.noSpace), .system(.diskQuotaExceeded), .system(.fileTooLarge): .diskFull
      case .system(.noMemory): .notEnoughMemory
      case .system(.permissionDenied), .system(.notPermitted), .system(.readOnlyFileSystem):
        .permissionDenied
      case .system(.noSuchFileOrDirectory), .system(.notDirectory): .notFound
      default: .system
      }
    self.init(code, error.description, cause: error)
  }

  /// The error for a store that could not be created: `diskFull` or `notEnoughMemory` if that is
  /// the cause, else `cannotCreate`.
  static func cannotCreate(_ error: MappingError) -> Store.Error {
    let converted = Store.Error(error)
    if converted.code == .diskFull || converted.code == .notEnoughMemory { return converted }
    return Store.Error(.cannotCreate, "the store cannot be created: \(error)", cause: error)
  }

  /// Runs one step of the creation of a store, and converts its error as ``cannotCreate(_:)``
  /// does.
  static func creating<Result: ~Copyable>(
    _ body: () throws(MappingError) -> Result
  ) throws(Store.Error) -> Result {
    do { return try body() } catch { throw cannotCreate(error) }
  }

  /// Converts an error in reserving address space. If there was not enough, the message says how
  /// many bytes were needed.
  init(_ error: MappingError, needing bytes: Int) {
    guard error.code == .system(.noMemory) else {
      self.init(error)
      return
    }
    self.init(
      .notEnoughMemory,
      "the store needs \(bytes) bytes of contiguous address space, which this process cannot get; "
        + MemoryLimits.advice,
      cause: error)
  }
}
