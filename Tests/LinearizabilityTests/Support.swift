import Foundation
import SystemPackage

@testable import KVMap

extension Store {
  /// Writes a checkpoint, whatever the log's length.
  func checkpoint() throws(Store.Error) {
    _ = try core.withWriteLock { turn throws(Store.Error) in try core.checkpoint(turn, .skip) }
  }
}

/// What a run found.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
