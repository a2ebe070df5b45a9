import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// One run of a chapter, with what the store may hold after each step.
final class FaultyLife {
  private let chapter: Chapter
  private let scratch: Scratch
  private let path: FilePath
  /// What the store may hold: several contents after an error with an unknown outcome.
  private var possible: [Operation.Contents]
  private(set) var failures = 0
  /// Whether each copy was made.
  private var copies: [Bool] = []
  /// What the store held before: changes of a scratch handle are discarded.
  private let before: Operation.Contents
  private let what: String
  private let allowed: Set<Store.Error.Code>
  /// A system call that every error must name.
  private let named: SystemCall?

  /// - Parameters:
  ///   - what: the name of the run in failure messages.
  ///   - allowed: the errors that such faults may cause. Damage is never one of them.
  init(
    _ chapter: Chapter, from image: (Image, Operation.Contents)?, in scratch: Scratch, what: String,
    allowed: Set<Store.Error.Code> = [
      .diskFull, .notEnoughMemory, .system, .outcomeUnknown, .cannotCreate,
    ], named: SystemCall? = nil
  ) throws {
    self.allowed = allowed
    self.named = named
    self.chapter = chapter
    self.scratch = scratch
    self.what = what
    path = scratch.path("life")
    before = image?.1 ?? [:]
    possible = [before]
    if let image { try image.0.lay(at: path) } else { try? File.remove(path) }
  }

  /// Opens with a clock that stands still, since system calls may depend on the time.
  private func open(_ name: String = "life", access: Store.Access? = nil) throws(Store.Error) -> Store {
    var options = Store.Options()
    chapter.change(&options)
    if let access { options.access = access }
    let opening = Opening(path: scratch.path(name), options: options, clock: Clock(now: { 1_000_000 }))
    return Store(core: try opening.open())
  }

  /// Runs the chapter within `during`, and checks what is left.
  func run(during: (() throws -> Void) throws -> Void) throws {
    let other = chapter.isBesideAnother ? try scratch.store("life") : nil
    try during { [self] in
      guard let store = attempt({ try open() }) ?? attempt({ try open() }) else { return }
      for step in chapter.steps { run(step, on: store) }
      attempt { try store.close() }
    }
    if let other { try check(other) } else { try check(try scratch.store("life")) }
    #expect(try scratch.names.filter { $0.contains("life") } == ["life"], "\(what)")
  }

  // MARK: Steps

  /// What `body` returns; nil if it throws an allowed error.
  @discardableResult
  private func attempt<R>(_ body: () throws -> R) -> R? {
    do {
      return try body()
    } catch let error as Store.Error {
      failures += 1
      if !allowed.contains(error.code) { print("kvmap: \(what): \(error.code): \(error)") }
      #expect(allowed.contains(error.code), "\(what): \(error.code): \(error)")
      #expect(error.message.contains(scratch.directory.string), "\(what): \(error)")
      if let named { #expect(error.message.contains(named.rawValue), "\(what): \(error)") }
    } catch {
      Issue.record("\(what): an error of another type: \(error)")
    }
    return nil
  }

  private func run(_ step: Chapter.Step, on store: Store) {
    switch step {
    case .write(let operation, let durability):
      write(operation) {
        if let durability {
          try operation.apply(to: store, durability)
        } else {
          try operation.apply(to: store)
        }
      }
    case .expire(let key):
      write(.remove(bytes(key))) { try store.setExpiry(.at(millisecondsSince1970: 1), forKey: key) }
    case .read:
      for key in keys { attempt { expectPossible(try store.get(key), key) } }
      attempt {
        let found = try store.withValue(forKey: "large") { $0.array }
        expectPossible(found, bytes("large"))
      }
    case .iterate:
      for contents in [attempt { try store.everything() }, attempt { try store.everythingByCursor() }] {
        if let contents { expectPossible(contents) }
      }
    case .statistics:
      attempt {
        let count = try store.statistics().recordCount
        #expect(possible.contains { $0.count == count }, "\(what)")
      }
    case .verify:
      if let report = attempt({ try store.verify() }) {
        #expect(report.isSound, "\(what): \(report.faults)")
      }
    case .sync: attempt { try store.sync() }
    case .checkpoint: attempt { try store.checkpoint() }
    case .compact: attempt { try store.compact() }
    case .backup:
      let copy = scratch.path("copy \(copies.count)")
      copies.append(attempt { try store.backup(to: copy, sharesBlocks: copies.count == 1) } != nil)
    case .increment:
      let (changes, copy) = (scratch.path("changes"), scratch.path("copy \(copies.count)"))
      let isMade = attempt {
        let base = try open("base", access: .readOnly)
        defer { try? base.close() }
        try store.backup(to: changes, since: base.core.superblock.copy?.original.sequence.number ?? 0)
        try base.restore(to: copy, [changes], Store.Options()) { _ in }
      }
      copies.append(isMade != nil)
    }
  }

  private func write(_ operation: Operation, _ body: () throws -> Bool) {
    do {
      let did = try body()
      var next: [Operation.Contents] = []
      for var contents in possible where operation.apply(to: &contents) == did { next.append(contents) }
      #expect(!next.isEmpty, "\(what): \(operation.name) says \(did)")
      if !next.isEmpty { possible = next }
    } catch let error as Store.Error where error.code == .outcomeUnknown {
      failures += 1
      // Done or not: the next read shows which.
      for contents in possible.map({ operation.applied(to: $0) }) where !possible.contains(contents) {
        possible.append(contents)
      }
    } catch {
      attempt { throw error }
    }
  }

  private var keys: [[UInt8]] { Array(Set(possible.flatMap(\.keys))) + [bytes("nobody's")] }

  private func expectPossible(_ value: [UInt8]?, _ key: [UInt8]) {
    #expect(
      possible.contains { $0[key] == value }, "\(what): \(String(decoding: key, as: UTF8.self)) is wrong")
  }

  private func expectPossible(_ contents: Operation.Contents) {
    #expect(possible.contains(contents), "\(what): \(contents.count) keys, \(difference(contents))")
  }

  private func difference(_ contents: Operation.Contents) -> String {
    let expected = possible[possible.count - 1]
    let keys = Set(contents.keys).union(expected.keys).filter { contents[$0] != expected[$0] }
    return "differing: \(keys.map { String(decoding: $0.prefix(20), as: UTF8.self) })"
  }

  // MARK: Afterwards

  /// The fault is gone: the store is whole, holds what was acknowledged, and works.
  private func check(_ store: Store) throws {
    try store.put("works", forKey: "afterwards")
    var found = try store.everything()
    found[bytes("afterwards")] = nil
    if chapter == .scratch { possible = [before] }
    expectPossible(found)
    try checkCopies()
    try expectSound(store, "\(what)")
  }
}

/// A copy is there as a whole, or not at all.
extension FaultyLife {
  private func checkCopies() throws {
    if try scratch.names.contains("changes") { try File.remove(scratch.path("changes")) }
    for (number, isMade) in copies.enumerated() {
      let name = "copy \(number)"
      #expect(try scratch.names.contains(name) == isMade, "\(what): \(name)")
      if !isMade { continue }
      let copy = try scratch.store(name)
      let contents = try copy.everything()
      #expect(contents == before || possible.contains(contents), "\(what): \(name)")
      try expectSound(copy, "\(what): \(name)")
      try copy.close()
      try File.remove(scratch.path(name))
    }
  }
}

extension Operation {
  /// Single changes with a durability of their own.
  fileprivate func apply(to store: Store, _ durability: Store.Durability) throws -> Bool {
    switch self {
    case .put(let key, let value, let condition):
      return try store.put(value, forKey: key, if: condition, durability: durability)
    case .remove(let key): return try store.remove(key, durability: durability)
    case .transaction: return try apply(to: store)
    }
  }

  fileprivate var name: String {
    switch self {
    case .put(let key, let value, _): "put \(String(decoding: key, as: UTF8.self)) (\(value.count) bytes)"
    case .remove(let key): "remove \(String(decoding: key, as: UTF8.self))"
    case .transaction(let changes, _): "transaction of \(changes.count)"
    }
  }
}
