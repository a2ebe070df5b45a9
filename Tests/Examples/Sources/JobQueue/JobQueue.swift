// A queue of jobs in one store, and what makes each job be done exactly once.

import Foundation
import KVMap
import KVMapFoundation

/// A text whose words are to be counted.
struct Job: Codable {
  var text: String
}

/// What came of a job.
struct Outcome: Codable {
  var words: Int
  var worker: Int32
}

/// A queue that any number of processes may use at once. They share nothing but the store:
///
/// | key | value |
/// |---|---|
/// | `job/7` | a `Job` that is not done yet |
/// | `claim/7` | the name of the worker that does it; expires by itself |
/// | `result/7` | the `Outcome` of a job that is done |
/// | `words` | the words of all jobs that are done |
/// | `next` | the number that the next job gets |
/// | `first` | no job below this number is left: keys have no order, so the numbers are the queue |
struct JobQueue {
  let store: Store
  var jobs: Store.View<Job> { store.view("job/", of: Job.self) }

  /// A job that one worker may do until the claim expires.
  struct Claim {
    let number: Int
    let job: Job
    /// Differs for each claim, so that a worker never takes a later claim of another one for its own.
    let name: String
  }

  /// Adds a job.
  ///
  /// - Returns: its number. The job is durable then: whoever has added it may forget it.
  func add(_ text: String) throws -> Int {
    try store.transaction(durability: .onCommit) { transaction in
      let number = try transaction.get("next", as: Int.self) ?? 1
      try transaction.put(number + 1, forKey: "next")
      try transaction.put(Job(text: text), forKey: "job/\(number)", as: .json)
      return number
    }
  }

  /// Claims the first job that nobody has claimed; nil if there is none.
  ///
  /// If the worker dies, the claim expires after `lease`, and the job can be claimed again: nobody has to
  /// notice that a worker is dead.
  func claim(for lease: Duration) throws -> Claim? {
    let first = try store.get("first", as: Int.self) ?? 1
    let next = try store.get("next", as: Int.self) ?? 1
    for number in first..<next {
      let name = UUID().uuidString
      guard try jobs.contains(number),
        try store.put(name, forKey: "claim/\(number)", if: .absent, expires: .after(lease))
      else { continue }
      // Read after the claim: before it, another worker may have finished the job and given up its claim.
      if let job = try jobs.get(number) { return Claim(number: number, job: job, name: name) }
      try store.remove("claim/\(number)")
    }
    return nil
  }

  /// Claims the job once more for as long, in the midst of the work.
  ///
  /// - Returns: whether it still was this worker's.
  func renew(_ claim: Claim, for lease: Duration) throws -> Bool {
    try store.compareAndSet(
      "claim/\(claim.number)", expected: claim.name, new: claim.name, expires: .after(lease))
  }

  /// Ends the job: removes it and records its outcome, all in one commit. A worker that dies before has
  /// done nothing, one that dies after has done everything.
  ///
  /// Not durable at once, which would cost a sync: a power failure that takes back the end of a job takes
  /// back its effects as well, and then the job is done again, still once.
  ///
  /// - Returns: false if the claim has expired. The job is another worker's then, and nothing has changed.
  func finish(_ claim: Claim, with outcome: Outcome) throws -> Bool {
    let number = claim.number
    return try store.transaction { transaction in
      guard try transaction.get("claim/\(number)", as: String.self) == claim.name else { return false }
      try transaction.remove("claim/\(number)")
      try transaction.remove("job/\(number)")
      try transaction.put(outcome, forKey: "result/\(number)", as: .json)
      let words = try transaction.get("words", as: Int.self) ?? 0
      try transaction.put(words + outcome.words, forKey: "words")

      var first = try transaction.get("first", as: Int.self) ?? 1
      let next = try transaction.get("next", as: Int.self) ?? 1
      while try first < next && !transaction.contains("job/\(first)") { first += 1 }
      try transaction.put(first, forKey: "first")
      return true
    }
  }

  /// Counts what is in the queue, all at the same moment.
  func status() throws -> (waiting: Int, claimed: Int, done: Int, words: Int) {
    let snapshot = try store.snapshot()
    let first = try snapshot.get("first", as: Int.self) ?? 1
    let next = try snapshot.get("next", as: Int.self) ?? 1
    var (waiting, claimed) = (0, 0)
    for number in first..<next where try snapshot.contains("job/\(number)") {
      if try snapshot.contains("claim/\(number)") { claimed += 1 } else { waiting += 1 }
    }
    let words = try snapshot.get("words", as: Int.self) ?? 0
    return (waiting, claimed, next - 1 - waiting - claimed, words)
  }
}
