import Foundation

/// A program that is run to its end.
struct Command {
  var arguments: [String]
  var environment: [String: String] = [:]

  init(_ arguments: [String]) { self.arguments = arguments }

  struct Result {
    var status: Int32
    var wasSignalled: Bool
    var output: String
    var seconds: Double

    var isTimeout: Bool { !wasSignalled && (status == 124 || status == 137) }
    var hasPassed: Bool { !wasSignalled && status == 0 }

    /// The first test that failed.
    var failedTest: String? {
      for line in output.split(separator: "\n") {
        guard let start = line.range(of: "✘ Test ") ?? line.range(of: "Test ") else { continue }
        let rest = line[start.upperBound...]
        guard let end = rest.range(of: " recorded an issue") ?? rest.range(of: " failed after") else {
          continue
        }
        let name = rest[..<end.lowerBound]
        if !name.hasPrefix("run with") { return String(name.prefix { $0 != "(" }) }
      }
      return nil
    }

    /// How many tests were run.
    var testCount: Int {
      for line in output.split(separator: "\n").reversed() {
        guard let start = line.range(of: "Test run with ") else { continue }
        return Int(line[start.upperBound...].prefix { $0.isNumber }) ?? 0
      }
      return 0
    }
  }

  func run() throws -> Result {
    // To a file, since children of tests that live on would keep a pipe open.
    let log = FileManager.default.temporaryDirectory.appending(path: "kvmap-mutations-\(UUID().uuidString)")
    _ = FileManager.default.createFile(atPath: log.path, contents: nil)
    defer { try? FileManager.default.removeItem(at: log) }
    let handle = try FileHandle(forWritingTo: log)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    process.standardOutput = handle
    process.standardError = handle
    process.standardInput = FileHandle.nullDevice
    let start = ContinuousClock.now
    try process.run()
    process.waitUntilExit()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    try handle.close()
    return Result(
      status: process.terminationStatus, wasSignalled: process.terminationReason == .uncaughtSignal,
      output: String(decoding: try Data(contentsOf: log), as: UTF8.self), seconds: seconds)
  }
}
