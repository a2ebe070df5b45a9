public import Foundation
public import KVMap
public import MappedMemory

extension StoreError: LocalizedError {
  /// The message.
  public var errorDescription: String? { message }
}

extension MappingError: LocalizedError {
  /// What was refused, why, and what to do.
  public var errorDescription: String? { description }
}
