import SystemPackage
import TestSupport
import Testing

@testable import KVMap

extension Scratch {
  func path() -> FilePath { path("store") }

  /// Opens a store here, or creates it, with options that `change` may set.
  func store(
    _ name: String = "store", _ change: (inout Store.Options) -> Void = { _ in }
  ) throws(Store.Error) -> Store {
    var options = Store.Options()
    change(&options)
    return try Store(path(name), options: options)
  }

  /// The same with a clock that stands still, in milliseconds since 1970.
  func store(
    _ name: String = "store", at time: UInt64, _ change: (inout Store.Options) -> Void = { _ in }
  ) throws(Store.Error) -> Store {
    var options = Store.Options()
    change(&options)
    let opening = Opening(path: path(name), options: options, clock: Clock(now: { time }))
    return Store(core: try opening.open())
  }
}

extension Store {
  /// All keys and values, by `forEach`. A key that is passed twice is an issue.
  func everything() throws -> [[UInt8]: [UInt8]] {
    var found: [[UInt8]: [UInt8]] = [:]
    try forEach { key, value in
      let previous = found.updateValue(value.array, forKey: key.array)
      #expect(previous == nil, "a key was passed twice")
    }
    return found
  }

  /// The same, by cursor.
  func everythingByCursor() throws -> [[UInt8]: [UInt8]] {
    var cursor = makeCursor()
    var found: [[UInt8]: [UInt8]] = [:]
    while let entry = try cursor.next() {
      #expect(found.updateValue(entry.value, forKey: entry.key) == nil, "a key was returned twice")
    }
    return found
  }
}

/// Checks the working state, and the state that a recovery would find.
func expectSound(
  _ store: Store, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let working = try store.core.withWriteLock { _ throws(Store.Error) in store.core.verify() }
  #expect(working.isSound, "working state: \(working.faults) \(comment)", sourceLocation: sourceLocation)
  let recovered = try store.verify()
  #expect(recovered.isSound, "recovered: \(recovered.faults) \(comment)", sourceLocation: sourceLocation)
}

/// The code of the error that `body` throws, nil if it throws none.
func code<R>(_ body: () throws -> R) -> Store.Error.Code? {
  do {
    _ = try body()
    return nil
  } catch let error as Store.Error {
    return error.code
  } catch {
    Issue.record("an error of another type: \(error)")
    return nil
  }
}
