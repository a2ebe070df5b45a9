import SystemPackage

@testable import KVMap

/// Opens a changed image in every way, and reports what the store does wrong.
struct Examiner {
  let original: HostileStore
  let path: FilePath

  /// Something that must never happen.
  struct Violation: Error, CustomStringConvertible {
    let description: String
  }

  /// What reading all keys gave.
  struct Finding {
    var lost: Set<Int> = []
    var values: [Int: [UInt8]?] = [:]
  }

  private func fail(_ text: String) -> Violation { Violation(description: text) }

  // MARK: Damage

  /// Checks that damage has no other effects than these.
  ///
  /// `ways` says how the file is opened. Opening it as scratch includes a verification.
  func examine(
    _ effect: HostileStore.Effect, ways: [Store.Access] = [.readOnly, .scratch, .readWrite]
  ) throws {
    let image = original.image
    try image.write(to: path)
    for access in [Store.Access.readOnly, .scratch] where ways.contains(access) {
      if let store = try open(access, effect, effect.whenReading) {
        try check(store, effect, "\(access)")
        try store.close()
      }
    }
    if ways.contains(.scratch), try verify(), effect.isLossCertain || effect.whenReading == .certain {
      throw fail("verification finds nothing")
    }
    if let place = try image.difference(from: path) {
      throw fail("reading or verifying changed byte \(place)")
    }
    guard ways.contains(.readWrite) else { return }
    guard let store = try open(.readWrite, effect, effect.whenWriting) else {
      if let place = try image.difference(from: path) { throw fail("a refusal changed byte \(place)") }
      return
    }
    try check(store, effect, "readWrite")
    try store.close()
    // The file reads the same again.
    if let again = try open(.readOnly, effect, effect.whenReading) {
      try check(again, effect, "opened again")
    }
  }

  private func open(
    _ access: Store.Access, _ effect: HostileStore.Effect, _ refusal: HostileStore.Effect.Refusal
  ) throws -> Store? {
    let options = Store.Options(access: access, create: false)
    do {
      let store = try Store(path, options: options)
      if refusal == .certain { throw fail("\(access): it is not refused") }
      return store
    } catch let error as Store.Error {
      guard error.code == .damaged || error.code == .newerFormat || error.code == .notAStore else {
        throw fail("\(access): \(error.code.rawValue): \(error)")
      }
      if refusal == .never { throw fail("\(access): it is refused: \(error)") }
      if effect.namesPlace, !error.message.contains("0x") { throw fail("no place is named: \(error)") }
      return nil
    }
  }

  /// Whether verification finds the file sound. It may refuse it too.
  private func verify() throws -> Bool {
    do {
      return try Store.verify(path).isSound
    } catch {
      guard error.code == .newerFormat || error.code == .notAStore else { throw error }
      return false
    }
  }

  private func check(_ store: Store, _ effect: HostileStore.Effect, _ how: String) throws {
    var finding = Finding()
    for (number, key) in original.keys.enumerated() {
      do {
        finding.values[number] = .some(try store.get(key))
      } catch {
        guard error.code == .damaged else { throw fail("\(how): get: \(error.code.rawValue): \(error)") }
        finding.lost.insert(number)
      }
    }
    let states = original.states.suffix(effect.losesCommits ? .max : effect.losesLastCommit ? 2 : 1)
    let isRight = states.contains { state in
      finding.values.allSatisfy { number, value in state[number] == value }
    }
    if !isRight {
      let wrong = finding.values.filter { number, value in states.allSatisfy { $0[number] != value } }
      throw fail("\(how): wrong or absent: \(wrong.keys.map { original.keys[$0] })")
    }
    guard finding.lost.isSubset(of: effect.lost) else {
      throw fail(
        "\(how): neighbours are lost: \(finding.lost.subtracting(effect.lost).map { original.keys[$0] })")
    }
    if effect.isLossCertain, finding.lost != effect.lost {
      throw fail("\(how): damage is not noticed: \(effect.lost.subtracting(finding.lost))")
    }
    try checkCursor(store, finding, how)
    try checkForEach(store, finding, how)
  }

  /// A cursor passes exactly the values that `get` returns, and an error for what is lost.
  private func checkCursor(_ store: Store, _ finding: Finding, _ how: String) throws {
    var cursor = store.makeCursor()
    var met: [[UInt8]: [UInt8]] = [:]
    var errors = 0
    while errors <= original.keys.count + 600 {
      do {
        guard let entry = try cursor.next() else { break }
        if met.updateValue(entry.value, forKey: entry.key) != nil { throw fail("\(how): a key comes twice") }
      } catch let error as Store.Error {
        guard error.code == .damaged else { throw fail("\(how): cursor: \(error)") }
        errors += 1
      }
    }
    if finding.lost.isEmpty != (errors == 0) { throw fail("\(how): the cursor has \(errors) errors") }
    for (number, value) in finding.values {
      let key = original.keys[number]
      if met.removeValue(forKey: key) != value { throw fail("\(how): the cursor passes over \(key)") }
    }
    for key in met.keys where !finding.lost.contains(where: { original.keys[$0] == key }) {
      throw fail("\(how): the cursor invents \(key)")
    }
  }

  private func checkForEach(_ store: Store, _ finding: Finding, _ how: String) throws {
    var count = 0
    do {
      try store.forEach { _, _ in count += 1 }
      let expected = finding.values.values.count { $0 != nil }
      if finding.lost.isEmpty, count != expected { throw fail("\(how): forEach passes \(count) records") }
    } catch let error as Store.Error {
      guard error.code == .damaged, !finding.lost.isEmpty else { throw fail("\(how): forEach: \(error)") }
    }
  }

  // MARK: Anything

  /// Checks of a file with any contents and right checksums that every call returns or throws,
  /// and that reading and refusals change nothing.
  func endure(_ random: inout some RandomNumberGenerator, isChanged: Bool = true) throws {
    let image = original.image
    try image.write(to: path)
    for access in [Store.Access.readOnly, .scratch] {
      try tolerate {
        let store = try Store(path, options: Store.Options(access: access))
        read(store)
        if access == .scratch, isChanged { change(store, &random) }
        try store.close()
      }
    }
    try tolerate { _ = try Store.verify(path) }
    if let place = try image.difference(from: path) {
      throw fail("reading or verifying changed byte \(place)")
    }
    do {
      let store = try Store(path, options: Store.Options(create: false))
      read(store)
      if isChanged { change(store, &random) }
      try tolerate { try store.close() }
    } catch {
      if let place = try image.difference(from: path) {
        throw fail("a refusal (\(error)) changed byte \(place)")
      }
      return
    }
    try tolerate {
      let store = try Store(path)
      read(store)
      try store.close()
    }
    try tolerate { _ = try Store.verify(path) }
  }

  /// The library's own errors are right; others are not.
  private func tolerate(_ body: () throws -> Void) throws {
    do { try body() } catch is Store.Error {}
  }

  private func read(_ store: Store) {
    for key in original.keys {
      _ = try? store.get(key)
      _ = try? store.contains(key)
    }
    var cursor = store.makeCursor()
    for _ in 0..<20_000 {
      do { if try cursor.next() == nil { break } } catch {}
    }
    try? store.forEach { _, _ in }
    var changes = store.changes(since: 0).makeReader()
    while let change = try? changes.next() { _ = change.key }
    _ = try? store.statistics()
    _ = try? store.count
  }

  private func change(_ store: Store, _ random: inout some RandomNumberGenerator) {
    for key in original.keys {
      switch random.below(6) {
      case 0: _ = try? store.remove(key)
      case 1: _ = try? store.put(patterned(random.below(300), 1), forKey: key)
      case 2 where random.chance(5): _ = try? store.put(patterned(66_000, 2), forKey: key)
      default: break
      }
    }
    for number in 0..<random.below(60) { _ = try? store.put("new", forKey: "new \(number)") }
    try? store.transaction { transaction in
      for number in 0..<10 {
        _ = try? transaction.put("together", forKey: "together \(number)")
        _ = try? transaction.remove("new \(number)")
      }
    }
    _ = try? store.checkpoint()
    for number in 0..<30 { _ = try? store.remove("new \(number)") }
    if random.chance(20) {
      for number in 0..<20 { _ = try? store.put(patterned(60_000, 3), forKey: "much \(number)") }
    }
    _ = try? store.checkpoint()
  }
}
