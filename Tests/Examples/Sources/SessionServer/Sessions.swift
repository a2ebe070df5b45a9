// The sessions, and the store that keeps them.

import Foundation
import KVMap
import KVMapFoundation

/// What the server knows about somebody who has logged in.
struct Session: Codable, Sendable {
  var user: String
  var since = Date.now
  var requests = 0
}

/// The sessions of all users, by their tokens. The store serves any number of tasks, and of server
/// processes, at once: nothing here needs a lock.
struct Sessions: Sendable {
  private let store: Store
  private let sessions: Store.View<Session>
  /// How long a session lasts after the last request.
  let lifetime: Duration

  /// The durability fits what a power failure may cost. A lost login costs the user another login, and a lost
  /// count of requests costs nothing, so it is enough that both are durable after a second, and no request waits
  /// for the disk. When the server is killed nothing is lost in any case. Logging out is another matter; see there.
  init(path: String, lifetime: Duration) async throws {
    store = try await Store(path: path, options: Store.Options(durability: .interval(milliseconds: 1_000)))
    sessions = store.view("session/", of: Session.self)
    self.lifetime = lifetime
  }

  /// Begins a session.
  ///
  /// - Returns: its token, which nobody can guess.
  func logIn(_ user: String) async throws -> String {
    var generator = SystemRandomNumberGenerator()
    let token = (0..<4).map { _ in String(format: "%016llx", generator.next() as UInt64) }.joined()
    try await sessions.put(Session(user: user), forKey: token, expires: .after(lifetime))
    return token
  }

  /// Counts a request in the session, and prolongs it.
  ///
  /// Reading and writing are one step. With `get` and `put`, two requests at once would be counted as one, and
  /// a request beside a logout would bring the session back.
  ///
  /// - Returns: the session; nil if there is none, or it has expired.
  func visit(_ token: String) async throws -> Session? {
    guard token.utf8.count == 64 else { return nil }
    return try await sessions.update(token, expires: .after(lifetime)) { session in
      session?.requests += 1
      return session
    }
  }

  /// Ends a session. Returns when that is durable: no power failure must log somebody in again.
  ///
  /// - Returns: whether there was one.
  func logOut(_ token: String) async throws -> Bool {
    try await sessions.remove(token, durability: .onCommit)
  }

  /// How many sessions each user has. Looks at all of them.
  func users() async throws -> [String: Int] {
    var counts: [String: Int] = [:]
    for try await entry in store.entries(withPrefix: "session/").async {
      counts[try entry.value(as: Session.self, from: .json).user, default: 0] += 1
    }
    return counts
  }

  /// Closes the store, so that the next start need not read the log.
  func close() async throws { try await store.close() }
}
