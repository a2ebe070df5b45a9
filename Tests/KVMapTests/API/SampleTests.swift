import Foundation
import KVMap
import KVMapFoundation
import Testing

// The samples of the pages TypedValues and GoingThrough, as they stand there.

private enum State: String, Store.ByteSource, Store.ByteDecodable {
  case waiting, running, done
}

private struct Session: Codable {
  var user: String
  var visits: Int
}

extension Store.Coding {
  fileprivate static let isoDates: Store.Coding = {
    let encoder = JSONEncoder()
    encoder.dateEncodingStrategy = .iso8601
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    return Store.Coding(
      encode: { try encoder.encode($0) }, decode: { try decoder.decode($0, from: $1) })
  }()
}

private struct Point: Store.ByteSource, Store.ByteDecodable {
  var x, y: Int32

  func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try "\(x),\(y)".withBytes(body)
  }

  init(x: Int32, y: Int32) { (self.x, self.y) = (x, y) }

  init(copying bytes: RawSpan) throws(Store.Error) {
    let parts = try String(copying: bytes).split(separator: ",").compactMap { Int32($0) }
    guard parts.count == 2 else { throw Store.Error(.invalidValue, "the value is not a point, as 3,4 is") }
    self.init(x: parts[0], y: parts[1])
  }
}

@Suite struct SampleTests {
  @Test func typedValues() throws {
    let store = try Store.inMemory()
    try store.put(42, forKey: "answer")
    try store.put(0.1, forKey: "rate")
    try store.put(true, forKey: "isOpen")
    let answer = try store.get("answer", as: Int.self)
    let rate = try store.get("rate", as: Double.self)
    #expect(answer == 42 && rate == 0.1)
    #expect(try store.get("isOpen", as: Bool.self) == true)

    try store.put("first", forKey: 1)
    let first = try store.get(1, as: String.self)
    #expect(first == "first")

    try store.put(State.waiting, forKey: "job/1")
    let isMine = try store.compareAndSet("job/1", expected: State.waiting, new: .running)
    let state = try store.get("job/1", as: State.self)
    #expect(isMine && state == .running)

    let visits = try store.increment("visits")
    let bytes = try store.increment("bytes", by: UInt64(500))
    let before = try store.exchange("closed", forKey: "state")
    let highest = try store.update("highest", as: Int.self) { max($0 ?? 0, 300) }
    #expect(visits == 1 as Int && bytes == 500 as UInt64 && before == nil as String? && highest == 300)

    try store.put(Point(x: 3, y: 4), forKey: "home")
    let home = try store.get("home", as: Point.self)
    #expect(home?.x == 3 && home?.y == 4)
    try store.put("3;4", forKey: "home")
    let error = #expect(throws: Store.Error.self) { try store.get("home", as: Point.self) }
    #expect(error?.message == "store in memory: key 'home': the value is not a point, as 3,4 is")
  }

  @Test func codableTypes() throws {
    let store = try Store.inMemory()
    try store.put(Session(user: "anna", visits: 1), forKey: "session/1", as: .json)
    let session = try store.get("session/1", as: Session.self, from: .json)
    #expect(session?.user == "anna")

    try store.put(Date(timeIntervalSince1970: 0), forKey: "date", as: .isoDates)
    #expect(try store.get("date", as: String.self) == "\"1970-01-01T00:00:00Z\"")
    #expect(try store.get("date", as: Date.self, from: .isoDates) == Date(timeIntervalSince1970: 0))

    try store.put(#"{"user":"anna"}"#, forKey: "session/1")
    let error = #expect(throws: Store.Error.self) {
      try store.get("session/1", as: Session.self, from: .json)
    }
    #expect(
      error?.message
        == "store in memory: key 'session/1': the value (15 bytes) cannot be decoded as Session: 'visits' is missing"
    )
  }

  @Test func views() throws {
    let store = try Store.inMemory()
    let sessions = store.view("session/", of: Session.self)

    try sessions.put(Session(user: "anna", visits: 1), forKey: "1", expires: .after(.seconds(1_800)))
    try sessions.update("1") { session in session?.visits += 1 }
    var met: [String] = []
    for entry in sessions {
      let entry = try entry.get()
      met.append("\(try entry.key(as: String.self)) \(entry.value.visits)")
    }
    #expect(met == ["1 2"])
  }

  @Test func goingThrough() throws {
    let store = try Store.inMemory()
    try store.put("abc", forKey: "user/anna")
    try store.put("d", forKey: "user/ben")
    try store.put("", forKey: "other")
    var met: [String] = []
    for entry in store {
      let entry = try entry.get()
      met.append("\(try entry.key(as: String.self)) \(entry.value.count)")
    }
    #expect(met.sorted() == ["other 0", "user/anna 3", "user/ben 1"])

    let users = try store.entries(withPrefix: "user/").map { try $0.get().key(as: String.self) }
    let longest = try store.values.map { try $0.get().count }.max()
    #expect(users.sorted() == ["user/anna", "user/ben"] && longest == 3)

    let snapshot = try store.snapshot()
    for entry in snapshot {
      let entry = try entry.get()
      try store.put(entry.value, forKey: "copy/" + entry.key(as: String.self))
    }
    snapshot.end()
    #expect(try store.count == 6)

    var bytes = 0
    try store.forEach { key, value in bytes += value.byteCount }
    #expect(bytes == 8)

    try store.removeAll { entry in try entry.key(as: String.self).hasPrefix("copy/") }
    #expect(try store.count == 3)
    try store.view("session/", of: String.self).removeAll()
    #expect(try store.count == 3)
    try store.removeAll()
    #expect(try store.count == 0)
  }

  @Test func inTasks() async throws {
    let store = try Store.inMemory()
    for number in 0..<100 { try await store.put(number, forKey: "key \(number)") }
    var met = 0
    for try await entry in store.entries().async {
      if try entry.key(as: String.self).hasPrefix("key ") { met += 1 }
    }
    #expect(met == 100)

    let total = try await withThrowingTaskGroup(of: Int.self) { group in
      for var cursor in store.cursors(4) {
        group.addTask {
          var bytes = 0
          while let entry = try cursor.next() { bytes += entry.value.count }
          return bytes
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(total == 190)
  }
}
