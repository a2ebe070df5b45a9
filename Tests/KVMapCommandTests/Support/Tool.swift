import Foundation
import SystemPackage
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The result of running the tool.
struct Run {
  /// The exit status; nil if a signal ended it.
  var status: Int32?
  /// The signal that ended it.
  var signal: Int32?
  var output: [UInt8]
  var errors: String

  var text: String { String(decoding: output, as: UTF8.self) }
  var lines: [String] { text.split(separator: "\n").map(String.init) }
}

/// The built `kvmap`.
enum Tool {
  static let url = URL(fileURLWithPath: testedCommand.string)

  /// Runs the tool in `directory` to its end.
  ///
  /// The streams are files, so that no pipe can fill up.
  static func run(
    _ arguments: [String], program: String? = nil, input: [UInt8] = [], environment: [String: String] = [:],
    in directory: Directory
  ) throws -> Run {
    let process = makeProcess(arguments, environment: environment, in: directory)
    if let program { process.executableURL = URL(fileURLWithPath: program) }
    let streams = try Directory()
    let (input, output, errors) = (
      try streams.write(input, to: "in"), try streams.write([], to: "out"), try streams.write([], to: "err")
    )
    process.standardInput = try FileHandle(forReadingFrom: input)
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try start(process)
    process.waitUntilExit()
    return result(of: process, output: try Data(contentsOf: output), errors: try Data(contentsOf: errors))
  }

  /// Runs a script of `sh`, to which the tool is `$0`, in `directory` to its end.
  static func script(_ text: String, in directory: Directory) throws -> Run {
    try run(["-c", text, url.path], program: "/bin/sh", in: directory)
  }

  /// The tool, not yet started, without standard input and with its output discarded.
  static func makeProcess(
    _ arguments: [String], environment: [String: String] = [:], in directory: Directory
  ) -> Process {
    let process = Process()
    process.executableURL = url
    process.arguments = arguments
    process.currentDirectoryURL = directory.url
    process.environment = ProcessInfo.processInfo.environment
      .merging(["COLUMNS": "200", "TERM": "xterm"]) { $1 }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    return process
  }

  /// Starts a process that signals reach. Threads of the test library block most signals, and a child inherits
  /// the mask of the thread that starts it. Tests run in the background or with `nohup` ignore some others.
  static func start(_ process: Process) throws {
    for name in [SIGHUP, SIGINT, SIGTERM] { unsafe signal(name, SIG_DFL) }
    var none = sigset_t()
    var before = sigset_t()
    unsafe sigemptyset(&none)
    unsafe pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
    try process.run()
  }

  /// The result of a process that has ended.
  static func result(of process: Process, output: Data = Data(), errors: Data = Data()) -> Run {
    let wasKilled = process.terminationReason == .uncaughtSignal
    return Run(
      status: wasKilled ? nil : process.terminationStatus,
      signal: wasKilled ? process.terminationStatus : nil,
      output: Array(output), errors: String(decoding: errors, as: UTF8.self))
  }
}
