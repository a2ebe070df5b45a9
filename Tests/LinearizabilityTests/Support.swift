import Foundation
import SystemPackage

@testable import KVMap

extension Store {
  /// A checkpoint now, whatever the log's length.
  func checkpoint() throws(StoreError) {
    _ = try core.withTurn { _ throws(StoreError) in try core.checkpoint() }
  }
}

/// What a run found, with all that is needed to look into it.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
