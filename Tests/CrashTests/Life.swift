#if CRASH_SIMULATION
  import MappedMemory
  import TestSupport

  @testable import KVMap

  /// A scripted life of a store: operations of a process that writes and of one that reads
  /// beside it. At times the writing process dies in the middle of a step, or a sync fails, and
  /// the store is taken over or recovered.
  ///
  /// From its trace follows what the disk may hold at any instant.
  final class Life {
    /// Which changes a life makes.
    struct Style {
      /// Keys that are put, overwritten and removed at random.
      var ordinaryKeys = 8
      /// The next of the keys that are put one after the other.
      var freshKey = 0
      /// One in so many puts is of a fresh key, if there are any.
      var freshShare = 2
      /// One in so many values is large, or a tenth of a page to a few pages long.
      var largeShare = 40
      var mediumShare = 10
    }

    /// How often each thing happened. The test checks that all of them do.
    struct Tally {
      var deaths = 0
      var failedSyncs = 0
      var takeovers = 0
      var handovers = 0
      var losses = 0
      var looks = 0
    }

    let trace: Trace
    let catalogue: Catalogue
    let time: Simulation.Time
    var random: SeededGenerator
    var style: Style
    var tally = Tally()
    /// Contents after commit n at index n, whether or not that commit happened in the end.
    private(set) var states: [Contents]
    /// The commits that were tried, by number.
    private(set) var operations: [Int: Operation] = [:]

    let file: SimulatedFile
    private let start: SimulatedFile.Start
    var writer: (store: Store, backing: SimulatedBacking)?
    /// Another process that may write next.
    var otherWriter: (store: Store, backing: SimulatedBacking)?
    var reader: (store: Store, backing: SimulatedBacking)?
    /// A checkpoint that one of them is writing, and the last commit before it.
    var beside: (checkpoint: BegunCheckpoint, number: Int)?
    /// Whether the reader is in the middle of a call.
    var isReading = false
    /// The number of the last commit that surely happened, and the numbers of those that may have.
    private(set) var current = 0
    private var pending: [Int] = []
    private var problem: Violation?
    private var stepsSinceTakeover = 1_000

    /// - Parameter start: what the file holds at first, which does not change with the file.
    init(
      _ file: SimulatedFile, _ trace: Trace, start: SimulatedFile.Start,
      catalogue: Catalogue, contents: Contents, style: Style, time: Simulation.Time, seed: UInt64
    ) {
      self.file = file
      self.trace = trace
      self.start = start
      self.catalogue = catalogue
      self.style = style
      self.time = time
      random = SeededGenerator(seed: seed)
      states = [contents]
      file.begin(trace: trace)
    }

    /// Creates or recovers the store, does `script` and then random steps.
    func run(isCreated: Bool, script: [Operation], steps: Int) throws {
      defer { abandon() }
      try Simulation.observing(file) {
        if isCreated {
          trace.activity = .creation
          try Simulation.create(file, time)
          trace.append(.durable(0))
        }
        try open(.recovery)
        for operation in script { try perform(operation, .retry) }
        for _ in 0..<steps { try step() }
      }
    }

    /// Ends all processes, so that they write nothing more.
    private func abandon() {
      file.interloper = nil
      dropCheckpoint()
      writer?.backing.die()
      otherWriter?.backing.die()
      reader?.backing.die()
      (writer, otherWriter, reader) = (nil, nil, nil)
    }

    var contents: Contents { states[current] }

    // MARK: Operations

    /// Makes a change, unless it would change nothing.
    func perform(_ operation: Operation, _ activity: Activity) throws {
      guard let store = writer?.store else { return }
      guard let result = operation.result(contents, at: time.now) else {
        try attemptAndSettle(activity) { try operation.run(store, self.catalogue) }
        return
      }
      begin([(operation, result)])
      let shape = try Shape(store.core)
      let start = trace.count
      let isDone = try attemptAndSettle(
        stepsSinceTakeover < 3 && activity != .retry ? .afterTakeover : activity
      ) { try operation.run(store, self.catalogue) }
      guard isDone else { return }
      endPending()
      if let change = try Shape(store.core).difference(from: shape) {
        trace.relabel(from: start, as: change)
      } else if activity == .largeValue, try Shape(store.core).highWater == shape.highWater {
        trace.relabel(from: start, as: .reuse)
      }
      if operation.durability == .onCommit { noteDurable() }
    }

    /// Makes durable changes in a group of threads, which one sync acknowledges.
    func performTogether(_ wanted: [Operation]) throws {
      guard let store = writer?.store else { return }
      var contents = contents
      var group: [(operation: Operation, result: Contents)] = []
      for operation in wanted {
        // In a group, as in a transaction, removing what has expired changes nothing.
        if case .remove(let key, _) = operation, !contents.isLive(key, at: time.now) { continue }
        guard let result = operation.result(contents, at: time.now) else { continue }
        group.append((operation, result))
        contents = result
      }
      if group.isEmpty { return }
      begin(group)
      let calls = group.map { operation, _ in { try operation.run(store, self.catalogue) } }
      if try attemptAndSettle(.group, { try GroupOfThreads(store.core, self.file).run(calls) }) {
        endPending()
        noteDurable()
      }
    }

    private func begin(_ commits: [(operation: Operation, result: Contents)]) {
      for (operation, result) in commits {
        states.append(result)
        let number = states.count - 1
        operations[number] = operation
        pending.append(number)
        trace.append(.begun(number))
      }
    }

    private func endPending() {
      current = pending.last ?? current
      pending = []
    }

    /// Notes that everything committed was acknowledged as durable.
    func noteDurable() { noteDurable(upTo: current) }

    func noteDurable(upTo number: Int) { trace.append(.durable(number)) }

    /// Runs `body`. If the process dies or a sync fails, recovers the store. Returns whether
    /// `body` was done.
    ///
    /// - Parameter isEnd: whether the process ends with `body`.
    @discardableResult
    func attemptAndSettle(
      _ activity: Activity, isEnd: Bool = false, _ body: () throws -> Void
    ) throws -> Bool {
      stepsSinceTakeover += 1
      switch try attempt(activity, body) {
      case .done: return true
      case .unknown, .died:
        if isEnd { kill() }
        try settle()
        return false
      }
    }

    private enum Outcome { case done, unknown, died }

    private func attempt(_ activity: Activity, _ body: () throws -> Void) throws -> Outcome {
      trace.activity = activity
      let first = trace.count
      let isDoomed = random.once(in: 14)
      if random.once(in: 10) {
        file.syncsUntilFailure = random.below(4)
        file.failureSeed = random.next()
      }
      if reader != nil, !isDoomed { file.interloper = { [unowned self] in look() } }
      defer {
        file.interloper = nil
        file.syncsUntilFailure = nil
      }
      var outcome = Outcome.done
      do {
        try body()
      } catch let error as Store.Error {
        guard error.code == .outcomeUnknown else { throw error }
        outcome = .unknown
        tally.failedSyncs += 1
      }
      if let problem = problem ?? file.problem { throw problem }
      if isDoomed {
        kill()
        file.rewind(
          to: first + random.below(trace.count - first + 1), start: start)
        outcome = .died
        tally.deaths += 1
      }
      return outcome
    }

    func kill() {
      dropCheckpoint(of: writer)
      writer?.backing.die()
      writer = nil
    }

    func endOtherWriter() {
      dropCheckpoint(of: otherWriter)
      otherWriter?.backing.die()
      otherWriter = nil
    }

    /// The thread that writes a checkpoint ends with its process.
    private func dropCheckpoint(of process: (store: Store, backing: SimulatedBacking)?) {
      if let core = beside?.checkpoint.core, core === process?.store.core { dropCheckpoint() }
    }

    private func dropCheckpoint() {
      beside?.checkpoint.drop()
      beside = nil
    }

    // MARK: Afterwards

    /// Recovers the store after a death or a failed sync, and finds out whether what was under
    /// way has happened.
    private func settle() throws {
      let published = firstPublished()
      // A process that is left may go on; otherwise another one does.
      if writer != nil, random.once(in: 3) { kill() }
      let isFailure = writer != nil
      while true {
        if writer == nil {
          if !isReading, random.once(in: 2) {
            try open(.recoveryAfterDeath)
            break
          }
          if otherWriter != nil { swap(&writer, &otherWriter) }
        }
        // A takeover waits until a checkpoint is written.
        if let (begun, _) = beside {
          beside = nil
          do { try begun.finish() } catch { begun.core.noteFailure(error) }
        }
        if writer == nil {
          let (core, backing) = try Simulation.join(file, time, options())
          writer = (Store(core: core), backing)
        }
        guard let store = writer?.store else { continue }
        let before = store.core.memory.shared[.recoveries]
        let isSynced = random.once(in: 2)
        let outcome = try attempt(isFailure ? .takeoverAfterFailure : .takeover) {
          if isSynced { try store.sync() } else { try store.transaction { _ in } }
        }
        guard outcome == .done else { continue }
        let wasTaken = store.core.memory.shared[.recoveries] != before
        if wasTaken {
          tally.takeovers += 1
          stepsSinceTakeover = 0
        }
        try resolve()
        if wasTaken || isSynced { noteDurable() }
        break
      }
      if let published, current < published {
        throw Violation("commit \(published) had been published and was undone")
      }
    }

    /// The first of the commits under way that the reader sees at this moment.
    private func firstPublished() -> Int? {
      // Unknown if the reader has not mapped enough of the file.
      guard let core = reader?.store.core,
        let found = try? history.find([current] + pending, in: core.memory),
        states[found] != states[current]
      else { return nil }
      return pending.first { states[$0] == states[found] }
    }

    private var history: History {
      History(catalogue: catalogue, time: time.now, states: states, durable: 0)
    }

    private func resolve() throws {
      guard let core = writer?.store.core else { return }
      let candidates = [current] + pending
      guard let found = try history.find(candidates, in: core.allOfMemory()) else {
        throw Violation("no process sees the state after any of the commits \(candidates)")
      }
      for number in pending where number > found { trace.append(.void(number)) }
      (current, pending) = (found, [])
    }

    /// Recovers alone and opens, again if that fails or the process dies.
    func open(_ activity: Activity) throws {
      kill()
      dropCheckpoint()
      otherWriter?.backing.die()
      reader?.backing.die()
      (otherWriter, reader) = (nil, nil)
      let options = options()
      // No process starts in the millisecond in which the one before ended.
      time.now += 1
      while try attempt(
        activity,
        {
          let (core, backing) = try Simulation.open(file, time, options)
          writer = (Store(core: core), backing)
        }) != .done
      { kill() }
      try resolve()
      noteDurable()
    }

    func options() -> Store.Options {
      var options = Store.Options()
      if random.once(in: 3) { options.durability = .onCommit }
      return options
    }

    // MARK: Reading

    /// The reader reads some key, between two stores of the writer.
    private func look() {
      guard problem == nil, let core = reader?.store.core, random.once(in: 48) else { return }
      tally.looks += 1
      let key = random.below(catalogue.keys.count)
      do {
        let bytes = catalogue.keys[key]
        let found = try unsafe core.get(bytes.span.bytes)
        for state in [current] + pending {
          let record = states[state].isLive(key, at: time.now) ? states[state][key] : nil
          if found == record.map({ catalogue.values[Int($0.value)] }) { return }
        }
        problem = Violation("a reader beside found the wrong value of key \(key)")
      } catch {
        problem = Violation("a reader beside failed: \(error)")
      }
    }
  }

  /// A store's shape before and after an operation shows which steps it took.
  struct Shape {
    var height: Int
    var nodes: Int
    var buckets: Int
    var overflow: Int
    var segment: UInt64
    var moveTail: UInt64
    var victimOffset: UInt64
    var highWater: UInt64

    init(_ core: StoreCore) throws {
      let memory = try core.allOfMemory()
      let root = memory.shared[.root]
      height = root.depth
      (nodes, buckets, overflow) = (0, 0, 0)
      segment = memory.shared[.segment].number
      moveTail = memory.shared[.moveTail].offset
      victimOffset = memory.shared[.victimOffset].offset
      highWater = memory.shared[.highWater].number
      count(root.page, height, memory)
    }

    private mutating func count(_ page: PageNumber, _ level: Int, _ memory: StoreMemory) {
      guard level > 0 else {
        buckets += 1
        if PageHeader(bytes: memory.bytes, page: page).overflow.number != 0 { overflow += 1 }
        return
      }
      nodes += 1
      var last = PagePointer(bits: 0)
      for entry in 0..<NodePage.entryCount {
        let pointer = NodePage(bytes: memory.bytes, page: page)[entry]
        if pointer != last { count(pointer.page, level - 1, memory) }
        last = pointer
      }
    }

    func difference(from before: Shape) -> Activity? {
      if nodes > before.nodes || height > before.height { return .directorySplit }
      if overflow > before.overflow { return .overflow }
      if buckets > before.buckets { return .bucketSplit }
      if segment != before.segment { return .segment }
      return tidying(from: before) ?? (highWater > before.highWater ? .growth : nil)
    }

    func tidying(from before: Shape) -> Activity? {
      if buckets < before.buckets { return .merging }
      return moveTail != before.moveTail || victimOffset != before.victimOffset ? .moving : nil
    }
  }
#endif
