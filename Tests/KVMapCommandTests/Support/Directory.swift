import Foundation
import SystemPackage
import TestSupport

/// A directory for one test, in which the tool runs. It is removed when the last copy of this ends.
struct Directory {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  var url: URL { URL(fileURLWithPath: scratch.directory.string, isDirectory: true) }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  @discardableResult
  func write(_ bytes: [UInt8], to name: String) throws -> URL {
    let file = url.appendingPathComponent(name)
    try Data(bytes).write(to: file)
    return file
  }

  @discardableResult
  func write(_ text: String, to name: String) throws -> URL {
    try write(Array(text.utf8), to: name)
  }

  func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: url.appendingPathComponent(name)))
  }

  /// The names of all files, hidden ones included.
  func names() throws -> [String] { try scratch.names }

  /// Runs the tool here.
  func kvmap(
    _ arguments: String..., input: [UInt8] = [], environment: [String: String] = [:]
  ) throws -> Run {
    try Tool.run(arguments, input: input, environment: environment, in: self)
  }

  /// Runs the tool here with text as its input.
  func kvmap(_ arguments: String..., text: String) throws -> Run {
    try Tool.run(arguments, input: Array(text.utf8), in: self)
  }
}
