// The server: HTTP in front of the sessions.

import Dispatch
import FlyingFox
import FlyingSocks
import Foundation
import KVMap

@main struct Main {
  static func main() async throws {
    let arguments = CommandLine.arguments.dropFirst()
    guard arguments.count >= 2, let port = UInt16(arguments[2]) else {
      return print("usage: SessionServer STORE PORT [SECONDS]   SECONDS without a request end a session")
    }
    let seconds = arguments.dropFirst(2).first.flatMap(Double.init) ?? 1_800
    do {
      let sessions = try await Sessions(path: arguments[1], lifetime: .seconds(seconds))
      let server = HTTPServer(address: try .inet(ip4: "127.0.0.1", port: port), logger: .disabled)
      await addRoutes(to: server, sessions)
      try await run(server)
      try await sessions.close()
    } catch let error as Store.Error {
      complain(error.message)
      exit(1)
    }
  }

  /// Who may log in is not what this example shows: any name gets in.
  struct Login: Decodable { var user: String }

  static func addRoutes(to server: HTTPServer, _ sessions: Sessions) async {
    await add("POST /login", to: server) { request in
      guard let login = try? JSONDecoder().decode(Login.self, from: await request.bodyData) else {
        return answer(.badRequest)
      }
      let token = try await sessions.logIn(login.user)
      return answer(.created, cookie: cookie(token, sessions.lifetime))
    }
    await add("GET /me", to: server) { request in
      guard let token = token(of: request), let session = try await sessions.visit(token) else {
        return answer(.unauthorized)
      }
      return answer(.ok, try JSONEncoder().encode(session), cookie: cookie(token, sessions.lifetime))
    }
    await add("POST /logout", to: server) { request in
      guard let token = token(of: request), try await sessions.logOut(token) else {
        return answer(.unauthorized)
      }
      return answer(.noContent, cookie: cookie("", .zero))
    }
    await add("GET /sessions", to: server) { _ in
      answer(.ok, try JSONEncoder().encode(try await sessions.users()))
    }
  }

  /// Adds a route. An error of the store, such as a full disk, is an answer as well.
  static func add(
    _ route: String, to server: HTTPServer,
    _ handler: @escaping @Sendable (HTTPRequest) async throws -> HTTPResponse
  ) async {
    await server.appendRoute(HTTPRoute(route)) { request in
      do {
        return try await handler(request)
      } catch let error as Store.Error {
        complain("\(route): \(error.message)")
        return answer(.serviceUnavailable)
      }
    }
  }

  /// Runs the server until the process is asked to end.
  static func run(_ server: HTTPServer) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      group.addTask {
        try await server.waitUntilListening()
        if case .ip4(_, let port) = await server.listeningAddress {
          FileHandle.standardOutput.write(Data("listening on port \(port)\n".utf8))
        }
        await termination()
      }
      try await group.next()  // Throws if it is the server that ends, such as when another has the port.
      await server.stop(timeout: 1)  // Takes no more requests, and gives those under way this second.
    }
  }

  /// Suspends until the process gets SIGTERM.
  static func termination() async {
    signal(SIGTERM, SIG_IGN)  // It must not end the process: the source below reports it.
    let source = DispatchSource.makeSignalSource(signal: SIGTERM)
    let signals = AsyncStream<Void> { continuation in
      source.setEventHandler { continuation.finish() }
      source.resume()
    }
    for await _ in signals {}
    source.cancel()
  }

  // MARK: Requests and responses

  static func token(of request: HTTPRequest) -> String? {
    let cookies = request.headers[.cookie]?.split(separator: ";") ?? []
    let pairs = cookies.map { $0.trimmingCharacters(in: .whitespaces).split(separator: "=", maxSplits: 1) }
    return pairs.first { $0.count == 2 && $0[0] == "session" }.map { String($0[1]) }
  }

  static func cookie(_ token: String, _ lifetime: Duration) -> String {
    "session=\(token); Path=/; HttpOnly; SameSite=Lax; Max-Age=\(lifetime.components.seconds)"
  }

  static func answer(_ status: HTTPStatusCode, _ body: Data = Data(), cookie: String? = nil) -> HTTPResponse {
    var response = HTTPResponse(statusCode: status, body: body)
    response.headers[.setCookie] = cookie
    return response
  }

  static func complain(_ message: String) { FileHandle.standardError.write(Data("\(message)\n".utf8)) }
}
