public import Foundation
public import KVMap
public import MappedMemory

extension Store.Error: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}

extension MappingError: LocalizedError {
  /// The operation, the file, the reason, and what to do.
  public var errorDescription: String? { description }
}
