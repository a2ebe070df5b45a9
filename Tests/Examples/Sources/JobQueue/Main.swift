// The command line of the queue.

import Foundation
import KVMap

/// Adds jobs, does them, or counts them; see `usage`. Any number of these processes may run at once, and be
/// killed at any instant.
@main struct Main {
  static let usage = """
    usage: JobQueue add STORE TEXT...              adds jobs that count words, and prints their numbers
           JobQueue work STORE [LEASE [PACE]]      does jobs until it is killed; LEASE and PACE in milliseconds
           JobQueue status STORE                   counts the jobs
    """

  static func main() throws {
    do {
      try run(CommandLine.arguments.dropFirst())
    } catch let error as Store.Error {
      FileHandle.standardError.write(Data("\(error.message)\n".utf8))
      exit(1)
    }
  }

  static func run(_ arguments: ArraySlice<String>) throws {
    guard arguments.count >= 2 else { return print(usage) }
    let (command, path, rest) = (arguments[1], arguments[2], arguments.dropFirst(2))
    let queue = JobQueue(store: try Store(path: path, options: Store.Options(create: command != "status")))
    switch command {
    case "add":
      for text in rest { say("\(try queue.add(text))") }
    case "work":
      let numbers = rest.compactMap { Int($0) }
      let lease = Duration.milliseconds(numbers.first ?? 10_000)
      try work(on: queue, lease: lease, pace: numbers.dropFirst().first ?? 100)
    case "status":
      let status = try queue.status()
      say("\(status.waiting) waiting, \(status.claimed) claimed, \(status.done) done, \(status.words) words")
    default:
      print(usage)
    }
  }

  /// Does one job after the other, and waits where there is none.
  static func work(on queue: JobQueue, lease: Duration, pace: Int) throws {
    while true {
      // Begun before looking for a job, so that none is missed that is added after the look.
      var news = queue.store.changes(withPrefix: "job/", values: false).makeReader()
      if let claim = try queue.claim(for: lease) {
        try work(on: claim, of: queue, lease: lease, pace: pace)
      } else {
        // A job that others have claimed may be free again after the lease: that is no change of the store.
        _ = try news.next(within: lease)
      }
    }
  }

  /// Does one job, unless the claim expires meanwhile.
  static func work(on claim: JobQueue.Claim, of queue: JobQueue, lease: Duration, pace: Int) throws {
    var outcome = Outcome(words: 0, worker: ProcessInfo.processInfo.processIdentifier)
    for _ in claim.job.text.split(separator: " ") {
      guard try queue.renew(claim, for: lease) else { return }
      Thread.sleep(forTimeInterval: Double(pace) / 1_000)  // Stands for work that takes time.
      outcome.words += 1
    }
    if try queue.finish(claim, with: outcome) { say("job \(claim.number): \(outcome.words) words") }
  }

  /// Prints a line at once: `print` keeps it for a while if the output is no terminal.
  static func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }
}
