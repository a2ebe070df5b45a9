import Foundation
import SystemPackage
import TestSupport

/// The result of running a program.
struct ToolResult {
  var status: Int32
  var output: [UInt8]
  var errors: String
}

/// The built command `kvmap`, and other programs.
enum Tool {
  /// Runs `kvmap` to its end.
  static func kvmap(_ arguments: String..., input: FilePath? = nil, in scratch: Scratch) throws -> ToolResult
  {
    try run(testedCommand, arguments, input: input, in: scratch)
  }

  /// The streams are files, so that no pipe can fill up.
  static func run(
    _ program: FilePath, _ arguments: [String], input: FilePath? = nil, in scratch: Scratch
  ) throws -> ToolResult {
    let streams = try Scratch()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program.string)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: scratch.directory.string)
    process.standardInput =
      try input.map { try reading($0) } ?? FileHandle.nullDevice
    process.standardOutput = try writing(streams.path("output"))
    process.standardError = try writing(streams.path("errors"))
    try process.run()
    process.waitUntilExit()
    return ToolResult(
      status: process.terminationStatus, output: try contents(streams.path("output")),
      errors: String(decoding: try contents(streams.path("errors")), as: UTF8.self))
  }

  private static func reading(_ path: FilePath) throws -> FileHandle {
    try FileHandle(forReadingFrom: URL(fileURLWithPath: path.string))
  }

  private static func writing(_ path: FilePath) throws -> FileHandle {
    try write([], to: path)
    return try FileHandle(forWritingTo: URL(fileURLWithPath: path.string))
  }
}
