import Foundation
import SystemPackage

@testable import KVMap

extension Store {
  /// A checkpoint now, whatever the log's length.
  func checkpoint() throws(StoreError) {
    _ = try core.withWriteLock { turn throws(StoreError) in try core.checkpoint(turn, .skip) }
  }
}

/// What a run found, with all that is needed to look into it.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
