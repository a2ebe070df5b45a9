import Foundation
import KVMap
import KVMapFoundation
import SystemPackage
import Testing

extension ExampleTests {
  /// Jobs are done exactly once, whatever becomes of those who add and do them.
  @Suite struct JobQueueTests {
    /// What `JobQueue` stores as the result of a job.
    struct Outcome: Decodable { var words: Int }

    let scratch: Scratch
    let path: FilePath

    init() throws {
      // A sync takes no time there, so that adding keeps the workers busy.
      scratch = try Scratch.inMemory()
      path = scratch.path("queue.kvmap")
    }

    func start(_ command: String, _ arguments: [String] = []) throws -> Program {
      try Program("JobQueue", [command, path.string] + arguments)
    }

    func run(_ command: String, _ arguments: [String] = []) throws -> [String] {
      let program = try start(command, arguments)
      let lines = try program.lines()
      #expect(program.status == 0)
      return lines
    }

    @Test func jobsAreAddedDoneAndCounted() throws {
      #expect(try run("add", ["one", "one two", "one two three"]) == ["1", "2", "3"])
      #expect(try run("status") == ["3 waiting, 0 claimed, 0 done, 0 words"])
      let worker = try start("work", ["10000", "0"])
      #expect(try worker.line() == "job 1: 1 words")
      #expect(try worker.line() == "job 2: 2 words")
      #expect(try worker.line() == "job 3: 3 words")
      #expect(try run("status") == ["0 waiting, 0 claimed, 3 done, 6 words"])
      // A worker that waits is told of the next job.
      #expect(try run("add", ["four"]) == ["4"])
      #expect(try worker.line() == "job 4: 1 words")
    }

    @Test func theJobOfADeadWorkerIsDoneByAnother() throws {
      #expect(try run("add", ["slow"]) == ["1"])
      var claims = try Store(path: path).changes(withPrefix: "claim/").makeReader()
      let dead = try start("work", ["1000", "3600000"])
      try #require(try claims.next(within: .seconds(60)) != nil)
      dead.kill()
      let worker = try start("work", ["1000", "0"])
      #expect(try worker.line() == "job 1: 1 words")
      #expect(try run("status") == ["0 waiting, 0 claimed, 1 done, 1 words"])
    }

    @Test func aWorkerWhoseClaimHasExpiredRecordsNothing() throws {
      #expect(try run("add", ["slow"]) == ["1"])
      let store = try Store(path: path)
      var claims = store.changes(withPrefix: "claim/1").makeReader()
      // Its claim expires while it works.
      let slow = try start("work", ["1", "1000"])
      try #require(try claims.next(within: .seconds(60)) != nil)
      let fast = try start("work", ["10000", "0"])
      #expect(try fast.line() == "job 1: 1 words")
      fast.kill()

      // When it claims another job, it has given up the first.
      claims = store.changes(withPrefix: "claim/2").makeReader()
      #expect(try run("add", ["next"]) == ["2"])
      try #require(try claims.next(within: .seconds(60)) != nil)
      slow.kill()
      #expect(try slow.lines() == [])
      #expect(try run("status")[0].hasSuffix("1 done, 1 words"))
    }

    @Test func statusOfAQueueThatIsNotThereIsAnError() throws {
      let program = try start("status")
      #expect(program.status == 1)
      #expect(try scratch.names == [])
    }

    /// `KVMAP_EXAMPLE_KILLS` workers, and some of those who add jobs, are killed at random moments.
    @Test func whateverIsKilledEachJobIsDoneOnce() throws {
      var random = SeededGenerator(seed: testSeed("JobQueueTests/whateverIsKilledEachJobIsDoneOnce"))
      let kills = Environment.number("KVMAP_EXAMPLE_KILLS") ?? 40
      var ledger = Ledger(try Store(path: path))
      // They do not pause, so they mostly die in a call of the store. The lease is short: the jobs of the dead come back
      // soon, and now and then a claim of the living expires.
      let workers = { try start("work", ["20", "0"]) }
      var working = try (0..<3).map { _ in try workers() }
      var cut = 0
      for _ in 0..<kills {
        let texts = (0..<100).map { _ in
          [String](repeating: "word", count: random.number(1...4)).joined(separator: " ")
        }
        let adding = try start("add", texts)
        var printed: [String] = []
        // Some are killed while they start, some while they add, and some go on to the end.
        if random.chance(80), let line = try adding.line() { printed.append(line) }
        Thread.sleep(forTimeInterval: Double(random.below(20_000)) / 1_000_000)
        let victim = random.below(working.count)
        working[victim].kill()
        working[victim] = try workers()
        if random.chance(50) { adding.kill() }
        printed += try adding.lines()
        if printed.count < texts.count { cut += 1 }
        for (text, number) in zip(texts, printed) { ledger.accept(number, text) }
        try ledger.follow()
      }
      while try !run("status")[0].hasPrefix("0 waiting, 0 claimed") {
        let goesOn = try ledger.follow(within: .seconds(30))
        try #require(goesOn, "the workers do nothing, although there are jobs left")
      }
      working.forEach { $0.kill() }

      try ledger.follow()
      try ledger.checkThatEachJobIsDoneOnce()
      #expect(try ledger.store.verify().isSound)
      print(
        "\(kills) workers and \(cut) adding processes killed: \(ledger.accepted.count) jobs accepted,",
        "\(ledger.done.count) done, \(ledger.retries) claimed again")
    }
  }
}

/// What the test knows about the jobs, from what the programs print and from the changes of the store.
struct Ledger {
  let store: Store
  private var changes: Store.Changes.Reader
  /// How many words each job has whose number was printed.
  private(set) var accepted: [Int: Int] = [:]
  private(set) var added: [String: Int] = [:]
  private(set) var removed: [String: Int] = [:]
  /// How often each job got a result.
  private(set) var done: [String: Int] = [:]
  private var claims: [String: Set<[UInt8]>] = [:]

  init(_ store: Store) {
    self.store = store
    changes = store.changes(since: 0).makeReader()
  }

  var retries: Int { claims.values.reduce(0) { $0 + $1.count - 1 } }

  mutating func accept(_ number: String, _ text: String) {
    guard let number = Int(number) else {
      Issue.record("\(number) is not a number")
      return
    }
    #expect(accepted[number] == nil, "number \(number) was given twice")
    accepted[number] = text.split(separator: " ").count
  }

  /// Notes what has happened since the last call, and returns whether anything has; waits for it up to `timeout`.
  @discardableResult
  mutating func follow(within timeout: Duration = .zero) throws -> Bool {
    var next = try changes.next(within: timeout)
    let isAny = next != nil
    while let change = next {
      let parts = try change.key(as: String.self).split(separator: "/").map(String.init)
      switch (change.kind, parts.first) {
      case (.gap, _): Issue.record("changes \(change.sequences) are missing")
      case (.put, "job"): added[parts[1], default: 0] += 1
      case (.remove, "job"): removed[parts[1], default: 0] += 1
      case (.put, "result"): done[parts[1], default: 0] += 1
      case (.put, "claim"): claims[parts[1], default: []].insert(change.value ?? [])
      default: break
      }
      next = try changes.next()
    }
    return isAny
  }

  func checkThatEachJobIsDoneOnce() throws {
    let next = try store.get("next", as: Int.self) ?? 1
    let all = Dictionary(uniqueKeysWithValues: (1..<next).map { ("\($0)", 1) })
    #expect(added == all)
    #expect(removed == all)
    #expect(done == all)
    var words = 0
    for number in 1..<next {
      let outcome = try #require(
        try store.get("result/\(number)", as: ExampleTests.JobQueueTests.Outcome.self, from: .json))
      words += outcome.words
      if let expected = accepted[number] { #expect(outcome.words == expected) }
    }
    // The effect of each job has happened once.
    #expect(try store.get("words", as: Int.self) == words)
    #expect(accepted.keys.allSatisfy { $0 < next }, "a job whose number was printed is lost")
  }
}
