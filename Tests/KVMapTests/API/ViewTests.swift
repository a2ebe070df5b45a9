import KVMapFoundation
import Synchronization
import TestSupport
import Testing

@testable import KVMap

/// Views of one prefix.
@Suite struct ViewTests {
  private struct Session: Codable, Equatable {
    var user: String
    var visits = 0
  }

  private enum State: String, Codable, Store.ByteSource, Store.ByteDecodable { case waiting, done }

  private let time = Store.ManualClock(millisecondsSince1970: 1_000)
  private let store: Store

  init() throws { store = try Store.inMemory(clock: time) }

  @Test func entriesLieUnderThePrefix() throws {
    let sessions = store.view("session/", of: Session.self)
    #expect(try sessions.get("1") == nil)
    #expect(try sessions.put(Session(user: "anna"), forKey: "1"))
    #expect(try sessions.get("1") == Session(user: "anna"))
    #expect(try store.get("session/1", as: String.self) == #"{"user":"anna","visits":0}"#)
    #expect(try sessions.contains("1") && !sessions.contains("session/1"))
    #expect(try sessions.remove("1") && !sessions.remove("1"))
    #expect(try store.count == 0)
  }

  @Test func keysAndPrefixesAreAnyBytes() throws {
    let view = store.view([0xff, 0], of: Int.self)
    try view.put(1, forKey: [])
    try view.put(2, forKey: [0xfe])
    try view.put(3, forKey: 17)
    #expect(try store.get([0xff, 0], as: Int.self) == 1)
    #expect(try store.get([0xff, 0, 0xfe], as: Int.self) == 2)
    #expect(try view.get("17") == 3)
    let empty = store.view("", of: Int.self)
    try empty.put(4, forKey: "")
    #expect(try empty.get("") == 4)
    #expect(try empty.count == 4 && view.count == 3)
    let long = [UInt8](repeating: 7, count: Layout.largestKey - 1)
    let longView = store.view(long, of: Int.self)
    try longView.put(5, forKey: "x")
    #expect(try longView.get("x") == 5)
    #expect(code { try longView.put(5, forKey: "xy") } == .keyTooLong)
  }

  @Test func typesThatCanBeReadAndWrittenNeedNoCoding() throws {
    try store.view("text/", of: String.self).put("as it is", forKey: "k")
    try store.view("bytes/", of: [UInt8].self).put([0, 255], forKey: "k")
    try store.view("state/", of: State.self).put(.done, forKey: "k")
    try store.view("json/", of: String.self, as: .json).put("quoted", forKey: "k")
    try store.view("numbers/", of: [Int].self).put([1, 2], forKey: "k")
    #expect(try store.get("text/k", as: String.self) == "as it is")
    #expect(try store.get("bytes/k") == [0, 255])
    #expect(try store.get("state/k", as: String.self) == "done")
    #expect(try store.get("json/k", as: String.self) == #""quoted""#)
    #expect(try store.get("numbers/k", as: String.self) == "[1,2]")
    #expect(try store.view("numbers/", of: [Int].self).get("k") == [1, 2])
  }

  @Test func conditionsAndExpiryAreThoseOfAnyPut() throws {
    let view = store.view("v/", of: Int.self)
    #expect(try !view.put(1, forKey: "k", if: .present))
    #expect(try view.put(1, forKey: "k", if: .absent, expires: .after(.seconds(1)), durability: .onCommit))
    #expect(try !view.put(2, forKey: "k", if: .absent))
    #expect(try store.expiry(ofKey: "v/k") == .at(millisecondsSince1970: 2_000))
    try view.update("k", expires: .after(.seconds(3))) { $0? += 1 }
    #expect(try store.expiry(ofKey: "v/k") == .at(millisecondsSince1970: 4_000))
    time.advance(by: .seconds(3))
    #expect(try view.get("k") == nil && !view.contains("k") && view.count == 0)
    #expect(Array(view).isEmpty)
  }

  @Test func updating() throws {
    struct Stop: Error {}
    let sessions = store.view("session/", of: Session.self)
    let old = try sessions.update("1") { session in
      defer { session = Session(user: "anna") }
      return session
    }
    #expect(old == nil)
    try sessions.update("1") { session in session?.visits += 1 }
    try sessions.update("2") { session in session?.visits += 1 }
    #expect(try sessions.get("1")?.visits == 1 && !sessions.contains("2"))
    #expect(throws: Stop.self) {
      try sessions.update("1") { session in
        session = nil
        throw Stop()
      }
    }
    #expect(try sessions.contains("1"))
    #expect(code { try sessions.update("1") { _ in try sessions.remove("1") } } == .reentrant)
    try sessions.update("1") { $0 = nil }
    #expect(try !sessions.contains("1"))
  }

  @Test func updatesOfSeveralThreadsAreAllThere() async throws {
    let visits = store.view("visits/", of: Int.self)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<500 {
            await #expect(throws: Never.self) { try await visits.update("k") { $0 = ($0 ?? 0) + 1 } }
          }
        }
      }
    }
    #expect(try visits.get("k") == 2_000)
  }

  @Test func goingThroughMeetsTheViewsEntriesAlone() throws {
    let view = store.view("a/", of: Int.self)
    for number in 0..<1_000 { try view.put(number, forKey: number) }
    for number in 0..<500 { try store.put("other", forKey: "a\(number)") }
    try store.put("not a number", forKey: "a/bad")
    var met: [Int: Int] = [:]
    var failures = 0
    for entry in view {
      switch entry {
      case .success(let entry):
        #expect(try met.updateValue(entry.value, forKey: entry.key(as: Int.self)) == nil)
        #expect(entry.version > 0 && entry.expiry == .never)
      case .failure(let error):
        failures += 1
        #expect(error.code == .notANumber)
        #expect(error.message.hasPrefix("store in memory: key 'a/bad': "))
      }
    }
    #expect(met == Dictionary(uniqueKeysWithValues: (0..<1_000).map { ($0, $0) }))
    #expect(failures == 1)
    #expect(try view.count == 1_001)
    #expect(try view.removeAll() == 1_001)
    #expect(try store.count == 500 && view.count == 0)
    #expect(store.core.verify().isSound)
  }
}
