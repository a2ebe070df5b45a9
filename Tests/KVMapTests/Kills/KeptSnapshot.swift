import TestSupport

@testable import KVMap

/// A snapshot and what it showed at first. It must show the same at its end.
struct KeptSnapshot {
  private let snapshot: Store.Snapshot
  private let contents: Operation.Contents

  init(_ store: Store) throws {
    snapshot = try store.snapshot()
    contents = try Self.contents(snapshot)
  }

  private static func contents(_ snapshot: Store.Snapshot) throws -> Operation.Contents {
    var found = Operation.Contents()
    try snapshot.forEach { key, value in
      if found.updateValue(value.array, forKey: key.array) != nil {
        throw KillFailure("a snapshot passed a key twice")
      }
    }
    return found
  }

  func end() throws {
    defer { snapshot.end() }
    guard try Self.contents(snapshot) == contents else {
      throw KillFailure("a snapshot shows other contents than it did")
    }
    for (key, value) in contents.prefix(8) {
      guard try snapshot.get(key) == value else {
        throw KillFailure("a snapshot has another value than going through it shows")
      }
    }
  }
}
