import FlyingFox
import FlyingSocks
import Foundation
import KVMap
import SystemPackage
import Testing

extension ExampleTests {
  /// The server keeps what it has acknowledged, whoever asks at the same time and whatever ends it.
  @Suite struct SessionServerTests {
    /// A server on a port of its own.
    struct Server: Sendable {
      let port: UInt16
      let program: Program

      init(_ store: FilePath, lifetime: String = "1800") throws {
        program = try Program("SessionServer", [store.string, "0", lifetime])
        let line = try #require(try program.line())
        port = try #require(UInt16(line.split(separator: " ").last ?? ""))
      }

      func ask(
        _ method: HTTPMethod, _ path: String, token: String? = nil, body: String = ""
      ) async throws -> HTTPResponse {
        var client = HTTPClient()
        let headers: [HTTPHeader: String] = token.map { [.cookie: "theme=dark; session=\($0)"] } ?? [:]
        let request = HTTPRequest(
          method: method, version: .http11, path: path, query: [], headers: headers, body: Data(body.utf8))
        return try await client.sendHTTPRequest(request, to: .inet(ip4: "127.0.0.1", port: port))
      }

      /// Logs in; the token that the cookie holds.
      func logIn(_ user: String) async throws -> String {
        let response = try await ask(.POST, "/login", body: #"{"user": "\#(user)"}"#)
        #expect(response.statusCode == .created)
        let cookie = try #require(response.headers[.setCookie])
        return String(try #require(cookie.firstMatch(of: /^session=([0-9a-f]{64});/)).output.1)
      }

      /// The session with this token; nil if the server says that there is none.
      func session(_ token: String?) async throws -> Session? {
        let response = try await ask(.GET, "/me", token: token)
        if response.statusCode == .unauthorized { return nil }
        return try JSONDecoder().decode(Session.self, from: await response.bodyData)
      }

      func users() async throws -> [String: Int] {
        try JSONDecoder().decode([String: Int].self, from: await ask(.GET, "/sessions").bodyData)
      }
    }

    struct Session: Decodable, Equatable, Sendable {
      var user: String
      var requests: Int
    }

    let scratch: Scratch
    let path: FilePath

    init() throws {
      scratch = try Scratch()
      path = scratch.path("sessions.kvmap")
    }

    @Test func aSessionBeginsAndEnds() async throws {
      let server = try Server(path)
      let anna = try await server.logIn("anna")
      let ben = try await server.logIn("ben")
      #expect(try await server.session(anna) == Session(user: "anna", requests: 1))
      #expect(try await server.session(anna) == Session(user: "anna", requests: 2))
      #expect(try await server.session(ben) == Session(user: "ben", requests: 1))
      #expect(try await server.users() == ["anna": 1, "ben": 1])
      #expect(try await server.ask(.POST, "/logout", token: anna).statusCode == .noContent)
      #expect(try await server.session(anna) == nil)
      #expect(try await server.ask(.POST, "/logout", token: anna).statusCode == .unauthorized)
      #expect(try await server.users() == ["ben": 1])
    }

    @Test func aWrongTokenIsRefused() async throws {
      let server = try Server(path)
      let token = try await server.logIn("anna")
      let wrong = ["", "x", String(token.dropLast()), token + "0", String(repeating: "0", count: 64)]
      for wrong in wrong + [String(repeating: "a", count: 3_000)] {
        #expect(try await server.session(wrong) == nil)
      }
      #expect(try await server.session(nil) == nil)
      #expect(try await server.ask(.POST, "/login", body: "anna").statusCode == .badRequest)
      #expect(try await server.users() == ["anna": 1])
    }

    @Test func aSessionExpires() async throws {
      let server = try Server(path, lifetime: "0.5")
      let token = try await server.logIn("anna")
      // This request does not prolong it, as its own would.
      let deadline = ContinuousClock.now + .seconds(60)
      while try await server.users() != [:] { try #require(ContinuousClock.now < deadline) }
      #expect(try await server.session(token) == nil)
      let store = try await Store(path: path)
      #expect(try store.count == 0)
    }

    @Test func manyRequestsAtOnce() async throws {
      let server = try Server(path)
      let tokens = try await withThrowingTaskGroup(of: String.self) { group in
        for number in 0..<200 { group.addTask { try await server.logIn("user \(number % 10)") } }
        return try await group.reduce(into: Set()) { $0.insert($1) }
      }
      #expect(tokens.count == 200)
      let users = try await server.users()
      #expect(users == Dictionary(uniqueKeysWithValues: (0..<10).map { ("user \($0)", 20) }))

      // Of one session, each is counted.
      let anna = try await server.logIn("anna")
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<200 {
          group.addTask {
            let session = try await server.session(anna)
            #expect(session?.user == "anna")
          }
        }
        try await group.waitForAll()
      }
      #expect(try await server.session(anna) == Session(user: "anna", requests: 201))
    }

    /// Requests that come in beside a logout must not bring the session back.
    @Test func aLogoutBesideRequestsIsFinal() async throws {
      let server = try Server(path)
      for _ in 0..<10 {
        let token = try await server.logIn("anna")
        try await withThrowingTaskGroup(of: Void.self) { group in
          for number in 0..<20 {
            group.addTask {
              if number == 10 { _ = try await server.ask(.POST, "/logout", token: token) }
              _ = try await server.session(token)
            }
          }
          try await group.waitForAll()
        }
        #expect(try await server.session(token) == nil)
      }
    }

    @Test func sessionsSurviveAKill() async throws {
      var known: [String: String] = [:]
      var loggedOut: Set<String> = []
      var random = SeededGenerator(seed: testSeed("SessionServerTests/sessionsSurviveAKill"))
      for round in 0..<8 {
        let server = try Server(path)
        for (token, user) in known { #expect(try await server.session(token)?.user == user) }
        for token in loggedOut { #expect(try await server.session(token) == nil) }
        server.program.kill(afterMilliseconds: random.below(500))
        await withTaskGroup(of: [(token: String, user: String, isOut: Bool)].self) { group in
          for number in 0..<20 {
            group.addTask { await Self.logInAndOut("user \(round)/\(number)", server) }
          }
          for await sessions in group {
            for session in sessions {
              if session.isOut {
                loggedOut.insert(session.token)
              } else {
                known[session.token] = session.user
              }
            }
          }
        }
        #expect(server.program.status == nil)
      }
      #expect(!known.isEmpty && !loggedOut.isEmpty)
      let store = try await Store(path: path)
      #expect(try await store.verify().isSound)
    }

    /// Logs in again and again until the server is gone, and out every second time.
    ///
    /// - Returns: the sessions whose last request was answered.
    static func logInAndOut(_ user: String, _ server: Server) async -> [(String, String, Bool)] {
      var sessions: [(String, String, Bool)] = []
      while let token = try? await server.logIn(user) {
        guard sessions.count % 2 == 1 else {
          sessions.append((token, user, false))
          continue
        }
        // A logout without an answer may have happened or not.
        guard let answer = try? await server.ask(.POST, "/logout", token: token) else { break }
        #expect(answer.statusCode == .noContent)
        sessions.append((token, user, true))
      }
      return sessions
    }

    @Test func sessionsSurviveAStop() async throws {
      let first = try Server(path)
      let token = try await first.logIn("anna")
      first.program.terminate()
      #expect(first.program.status == 0)

      let second = try Server(path)
      #expect(try await second.session(token) == Session(user: "anna", requests: 1))
    }

    @Test func severalServersShareAStore() async throws {
      let (one, other) = (try Server(path), try Server(path))
      let token = try await one.logIn("anna")
      #expect(try await other.session(token) == Session(user: "anna", requests: 1))
      #expect(try await one.session(token) == Session(user: "anna", requests: 2))
      #expect(try await other.ask(.POST, "/logout", token: token).statusCode == .noContent)
      #expect(try await one.session(token) == nil)
    }
  }
}
