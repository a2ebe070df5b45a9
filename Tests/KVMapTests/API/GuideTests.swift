import Foundation
import KVMap
import KVMapFoundation
import TestSupport
import Testing

// What the pages GettingStarted, ChoosingDurability, TestingYourCode and MovingFrom say of their samples.

private struct Session: Codable {
  var user: String
  var visits: Int
}

@Suite struct GuideTests {
  private let scratch: Scratch
  private var path: String { "\(scratch.path("app.kvmap"))" }

  init() throws { scratch = try .inMemory() }

  @Test func gettingStarted() throws {
    let store = try Store(path: path)
    try store.put("anna", forKey: "user")
    try store.put(7, forKey: "volume")
    #expect(try store.get("user", as: String.self) == "anna")
    #expect(try store.get("volume", as: Int.self) ?? 5 == 7)
    #expect(try store.get("theme") == nil)

    do {
      _ = try Store(path: scratch.path("missing.kvmap"), options: Store.Options(create: false))
      Issue.record("there is no store")
    } catch {
      switch error.code {
      case .notFound: break
      default: throw error
      }
    }

    try store.put("8351", forKey: "code/anna", expires: .after(.seconds(300)))
    let left = try #require(try store.expiry(ofKey: "code/anna")?.timeLeft)
    #expect(left > .seconds(200) && left <= .seconds(300))
    try store.setExpiry(.never, forKey: "code/anna")
    #expect(try store.expiry(ofKey: "code/anna") == .never)

    try store.put(Session(user: "anna", visits: 1), forKey: "session/1", as: .json)
    let sessions = store.view("session/", of: Session.self)
    try sessions.put(Session(user: "ben", visits: 3), forKey: "2")
    #expect(try store.contains("session/2"))
    try sessions.update("1") { session in session?.visits += 1 }
    let users = try sessions.map { try "\($0.get().key(as: String.self)) \($0.get().value.user)" }
    #expect(users.sorted() == ["1 anna", "2 ben"])

    try store.increment("starts")
    let patient = try Store(path: path, options: Store.Options(timeout: .seconds(1)))
    try patient.increment("starts")
    #expect(try store.get("starts", as: Int.self) == 2)
    try store.close()
    #expect(throws: Store.Error.self) { try store.get("user") }
    #expect(try patient.contains("user"))
  }

  @Test func choosingDurability() async throws {
    let orders = try await Store(path)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<64 {
        group.addTask { try await orders.put("done", forKey: "job/\(number)", durability: .onCommit) }
      }
      try await group.waitForAll()
    }
    #expect(try orders.count == 64)
  }

  /// What a handle with `.scratch` changes is in its memory alone, and it sees nothing that others write.
  @Test func aPrivateViewLeavesTheFileAsItIs() throws {
    let store = try Store(path: path)
    try store.put(contentsOf: [("old/1", "a"), ("old/2", "b"), ("new/1", "c")])
    try store.close()
    let before = try Data(contentsOf: URL(filePath: path))

    let data = try Store(path: path, options: Store.Options(access: .scratch))
    try data.removeAll { entry in try entry.key(as: String.self).hasPrefix("old/") }
    #expect(try data.verify().isSound && data.count == 1)
    #expect(try Data(contentsOf: URL(filePath: path)) == before)

    let other = try Store(path: path)
    try other.put("d", forKey: "new/2")
    #expect(try other.count == 4 && data.count == 1)
    let missing = scratch.path("missing.kvmap")
    let error = #expect(throws: Store.Error.self) {
      try Store(path: missing, options: Store.Options(access: .scratch))
    }
    #expect(error?.code == .notFound)
  }

  /// Each row of the table of errors.
  @Test func errorsCanBeProvoked() throws {
    let store = try Store(path: path)
    let other = try Store(path: path, options: Store.Options(timeout: .zero))
    try store.transaction { _ in
      #expect(code { try other.put(1, forKey: "a") } == .busy)
    }
    try store.put("abc", forKey: "text")
    #expect(code { try store.increment("text") } == .notANumber)
    let reader = try Store(path: path, options: Store.Options(access: .readOnly))
    #expect(code { try reader.put(1, forKey: "a") } == .readOnly)
    try reader.close()
    #expect(code { try reader.get("a") } == .closed)
    let text = "\(scratch.path("text.txt"))"
    try "hello".write(toFile: text, atomically: true, encoding: .utf8)
    #expect(code { try Store(path: text) } == .notAStore)
  }

  /// In a snapshot nothing expires.
  @Test func aSnapshotKeepsItsTime() throws {
    let clock = Store.ManualClock()
    let store = try Store.inMemory(clock: clock)
    try store.put("8351", forKey: "code", expires: .after(.seconds(300)))
    let snapshot = try store.snapshot()
    clock.advance(by: .seconds(300))
    #expect(try snapshot.contains("code") && !store.contains("code"))
  }

  @Test func movingTheData() throws {
    func move(_ pairs: some Sequence<([UInt8], [UInt8])>, to path: String) throws {
      try Store.create(at: path) { store in
        var batch: [([UInt8], [UInt8])] = []
        for pair in pairs {
          batch.append(pair)
          if batch.count == 4_096 {
            try store.put(contentsOf: batch)
            batch.removeAll(keepingCapacity: true)
          }
        }
        try store.put(contentsOf: batch)
      }
    }
    try move((0..<10_000).lazy.map { (Array("key \($0)".utf8), Array("\($0)".utf8)) }, to: path)
    let store = try Store(path: path)
    #expect(try store.count == 10_000 && store.get("key 9999", as: Int.self) == 9_999)
  }

  private func code<R>(_ body: () throws -> R) -> Store.Error.Code? {
    do { _ = try body() } catch { return (error as? Store.Error)?.code }
    return nil
  }
}
