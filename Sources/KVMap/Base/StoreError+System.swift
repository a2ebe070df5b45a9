import MappedMemory
import SystemPackage

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
