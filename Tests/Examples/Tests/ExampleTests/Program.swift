import Dispatch
import Foundation
import SystemPackage

/// A program of this package, running as a process of its own.
final class Program: Sendable {
  private let process = Process()
  private let output = Pipe()

  /// Starts the program that was built beside the tests.
  init(_ name: String, _ arguments: [String]) throws {
    let directory = FilePath(CommandLine.arguments[0]).removingLastComponent()
    process.executableURL = URL(filePath: directory.appending(name).string)
    process.arguments = arguments
    process.standardOutput = output
    try process.run()
  }

  deinit { kill() }

  /// Ends the process with SIGKILL, if it still runs, and waits until it is gone.
  func kill() { end(with: SIGKILL) }

  /// Has the process end with SIGKILL a little later, whatever the test does then. It must not end before.
  func kill(afterMilliseconds delay: Int) {
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(delay)) { [process] in
      _ = Foundation.kill(process.processIdentifier, SIGKILL)
    }
  }

  /// Asks the process to end, and waits until it has.
  func terminate() { end(with: SIGTERM) }

  private func end(with signal: Int32) {
    if process.isRunning { _ = Foundation.kill(process.processIdentifier, signal) }
    process.waitUntilExit()
  }

  /// The exit status; nil if a signal ended the process.
  var status: Int32? {
    process.waitUntilExit()
    return process.terminationReason == .exit ? process.terminationStatus : nil
  }

  /// The next line that the process has printed; waits for it. Nil at the end.
  func line() throws -> String? {
    var line: [UInt8] = []
    while let byte = try byte() {
      if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
      line.append(byte)
    }
    return nil
  }

  private func byte() throws -> UInt8? {
    let file = output.fileHandleForReading
    var ready = pollfd(fd: file.fileDescriptor, events: Int16(POLLIN), revents: 0)
    // Nothing here takes half a minute, and a process that waits for ever must not keep the test waiting.
    guard unsafe poll(&ready, 1, 30_000) == 1 else { throw Silence() }
    return try file.read(upToCount: 1)?.first
  }

  /// A process has printed nothing for half a minute.
  struct Silence: Error {}

  /// All whole lines that are left of what the process has printed; waits until it has ended.
  func lines() throws -> [String] {
    var lines: [String] = []
    while let line = try line() { lines.append(line) }
    return lines
  }
}
