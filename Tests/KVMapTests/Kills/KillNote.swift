import Foundation
import SystemPackage
import TestSupport
import Testing

/// The report of an exit test in a file, since its output goes nowhere.
struct KillNote {
  let seed: UInt64
  private let scratch: Scratch
  var path: String { scratch.path("note").string }

  init(_ name: String) throws {
    seed = testSeed(name)
    scratch = try Scratch()
  }

  /// In the exit test: writes down what `body` returns, or why it failed.
  static func write(
    to path: String, _ name: String, _ seed: UInt64, _ body: (KillGround) throws -> String
  ) throws {
    let isRight = try note(to: path) {
      let ground = try KillGround(name, seed: seed)
      return try ground.run { try body(ground) }
    }
    if !isRight { exit(EXIT_FAILURE) }
  }

  /// Whether `body` returned. Everything that it made is released when this returns.
  private static func note(to path: String, _ body: () throws -> String) throws -> Bool {
    let text: String
    var isRight = false
    do {
      text = try body()
      isRight = true
    } catch {
      text = "\(error)"
    }
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    return isRight
  }

  /// In the test: prints it.
  func show() {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      return print("nothing was noted: the process that kills was killed")
    }
    print(text)
  }
}
