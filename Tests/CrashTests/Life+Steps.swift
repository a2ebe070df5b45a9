#if CRASH_SIMULATION
  import TestSupport

  @testable import KVMap

  /// The random steps of a life.
  extension Life {
    func step() throws {
      if beside != nil, random.once(in: 3) { return try finishCheckpoint() }
      switch random.below(47) {
      case 0, 1: try checkpoint()
      case 2: try sync(onlyIfNeeded: false)
      case 3: try sync(onlyIfNeeded: true)
      case 4, 5: try reopen()
      case 6: try startOrEndReader()
      case 7: if !isReading { try readValueMeanwhile() }
      case 8: if !isReading { try readAllMeanwhile() }
      case 9: time.now += UInt64(random.below(3_000))
      case 23: try compact()
      case 24: try beginCheckpoint()
      case 25: if !isReading { try lookAtSnapshotMeanwhile() }
      case 26, 27: try letOtherWriterGoOn()
      case 28, 29: try together()
      case 30: try loseWrites()
      case 10, 11, 12, 13, 14, 15:
        try perform(.remove(key: random.below(style.ordinaryKeys), durability()), .remove)
      case 16, 17, 18, 19, 20, 21, 22: try transaction()
      default: try put()
      }
    }

    private func loseWrites() throws {
      file.loseWrites(seed: random.next())
      tally.losses += 1
      if random.once(in: 3) { return }
      // The next writer opens the store after the loss, and calls durable what it did not store.
      endOtherWriter()
      try letOtherWriterGoOn()
      switch random.below(4) {
      case 0: try sync(onlyIfNeeded: true)
      case 1: try put()
      default: try checkpoint()
      }
    }

    /// From here on another process writes.
    private func letOtherWriterGoOn() throws {
      if otherWriter == nil {
        let (core, backing) = try Simulation.join(file, time, options())
        otherWriter = (Store(core: core), backing)
      }
      swap(&writer, &otherWriter)
      tally.handovers += 1
    }

    private func durability() -> Store.Durability {
      switch random.below(6) {
      case 0, 1: .onCommit
      // A step syncs in place of the store's thread.
      case 2: .interval(milliseconds: 5)
      default: .none
      }
    }

    private func value() -> Int32 {
      let size: Int =
        if random.once(in: style.largeShare) {
          Layout.largestInlineValue + 1 + random.below(2 * Layout.unitBytes)
        } else if random.once(in: style.mediumShare) {
          400 + random.below(12_000)
        } else {
          random.once(in: 12) ? 0 : random.below(60)
        }
      return catalogue.newValue(count: size, &random)
    }

    private func put() throws {
      var key = random.below(style.ordinaryKeys)
      if style.freshKey < catalogue.keys.count, random.once(in: style.freshShare) {
        key = style.freshKey
        style.freshKey += 1
      }
      let value = value()
      var (condition, expiry) = (Store.PutCondition.always, UInt64.max)
      var activity: Activity = contents[key] == nil ? .put : .overwrite
      if catalogue.values[Int(value)].count > Layout.largestInlineValue { activity = .largeValue }
      if random.once(in: 8) {
        condition = random.once(in: 2) ? .absent : .present
        activity = .conditional
      }
      if random.once(in: 8) {
        expiry = time.now + UInt64(random.below(2_000))
        activity = .expiring
      }
      try perform(
        .put(key: key, value: value, condition: condition, expiry: expiry, durability()), activity)
    }

    private func together() throws {
      try performTogether(
        (0..<2 + random.below(3)).map { _ in
          let key = random.below(style.ordinaryKeys)
          switch random.below(4) {
          case 0: return .remove(key: key, .onCommit)
          case 1:
            let changes = (0..<2).map { _ in
              (key: random.below(style.ordinaryKeys), value: random.once(in: 4) ? -1 : value())
            }
            return .transaction(changes, isAbandoned: false, .onCommit)
          default: return .put(key: key, value: value(), condition: .always, expiry: .max, .onCommit)
          }
        })
    }

    private func putLarge(_ key: Int) throws {
      let value = catalogue.newValue(count: Layout.largestInlineValue + 1, &random)
      try perform(
        .put(key: key, value: value, condition: .always, expiry: .max, durability()), .largeValue)
    }

    private func transaction() throws {
      let isAbandoned = random.once(in: 3)
      // Long records fill sectors and pages, which are torn one by one.
      let isLong = isAbandoned && random.once(in: 2)
      let changes = (0..<2 + random.below(4)).map { _ in
        let key = random.below(style.ordinaryKeys)
        if isLong {
          return (key: key, value: catalogue.newValue(count: 500 + random.below(5_000), &random))
        }
        return (key: key, value: random.once(in: 4) ? -1 : value())
      }
      try perform(
        .transaction(changes, isAbandoned: isAbandoned, durability()),
        isAbandoned ? .abandoned : .transaction)
      // Often it is tried again with other values of the same lengths. Then the new records are
      // written over those that were given up, at the same places.
      guard isAbandoned, random.below(3) > 0 else { return }
      let again = changes.map { change in
        let count = change.value < 0 ? 0 : catalogue.values[Int(change.value)].count
        return (
          key: change.key, value: change.value < 0 ? -1 : catalogue.newValue(count: count, &random)
        )
      }
      try perform(.transaction(again, isAbandoned: false, durability()), .transaction)
    }

    private func checkpoint() throws {
      guard let core = writer?.store.core else { return }
      var isWritten = false
      let isDone = try attemptAndSettle(.checkpoint) {
        isWritten = try core.conclude(try core.enterWaiting()) { turn throws(Store.Error) in
          try core.checkpoint(turn, .skip)
        }
      }
      if isDone, isWritten { noteDurable() }
    }

    /// Only freezes a checkpoint. The rest is done some steps later.
    private func beginCheckpoint() throws {
      guard let core = writer?.store.core, beside == nil else { return }
      var begun: BegunCheckpoint?
      let isDone = try attemptAndSettle(.checkpoint) { begun = try BegunCheckpoint(core) }
      if isDone, let begun { beside = (begun, current) } else { begun?.drop() }
    }

    private func finishCheckpoint() throws {
      guard let (begun, number) = beside else { return }
      beside = nil
      // The process that writes the checkpoint is the one that may die or fail.
      if begun.core !== writer?.store.core { swap(&writer, &otherWriter) }
      let isDone = try attemptAndSettle(.checkpointBeside) {
        do throws(Store.Error) {
          try begun.finish()
        } catch {
          begun.core.noteFailure(error)
          throw error
        }
      }
      if isDone { noteDurable(upTo: number) }
    }

    private func compact() throws {
      guard let core = writer?.store.core, beside == nil else { return }
      var (from, before) = (trace.count, try Shape(core))
      let isDone = try attemptAndSettle(.compaction) {
        try core.compact { _ in
          let now = try Shape(core)
          if let change = now.tidying(from: before) { self.trace.relabel(from: from, as: change) }
          (from, before) = (self.trace.count, now)
          // Records expire meanwhile.
          if self.random.once(in: 4) { self.time.now += UInt64(self.random.below(500)) }
        }
      }
      if isDone { noteDurable() }
    }

    private func sync(onlyIfNeeded: Bool) throws {
      guard let core = writer?.store.core else { return }
      // As the store's thread does with `.interval`.
      if onlyIfNeeded, !core.needsSync { return }
      if try attemptAndSettle(.sync, { try core.sync() }) { noteDurable() }
    }

    /// The store is closed, or its process ends. Another process opens it, alone or beside the
    /// reader.
    private func reopen() throws {
      if beside != nil, random.once(in: 2) { try finishCheckpoint() }
      guard let store = writer?.store else { return }
      if beside == nil, random.once(in: 2) {
        let isDurable = store.core.options.durability != .none
        guard try attemptAndSettle(.close, isEnd: true, { try store.close() }) else { return }
        if isDurable { noteDurable() }
      }
      kill()
      if reader != nil, isReading || random.once(in: 2) {
        let (core, backing) = try Simulation.join(file, time, options())
        writer = (Store(core: core), backing)
      } else {
        try open(.recovery)
      }
    }

    // MARK: Reading beside

    private func startOrEndReader() throws {
      if isReading { return }
      if let old = reader {
        old.backing.die()
        reader = nil
      } else {
        let (core, backing) = try Simulation.join(file, time, Store.Options())
        reader = (Store(core: core), backing)
      }
    }

    private func someReader() throws -> Store {
      if reader == nil { try startOrEndReader() }
      guard let reader else { throw Violation("there is no reader") }
      return reader.store
    }

    /// A reader looks at a value in a closure while other steps are done.
    private func readValueMeanwhile() throws {
      let store = try someReader()
      isReading = true
      defer { isReading = false }
      let key = random.below(style.ordinaryKeys)
      let isReplaced = random.once(in: 2)
      if isReplaced { try putLarge(key) }
      _ = try store.withValue(forKey: catalogue.keys[key]) { span in
        let before = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
        if isReplaced {
          // The space of this value would be the first to be reused.
          try perform(.remove(key: key, durability()), .remove)
          try checkpoint()
          try putLarge(key)
        }
        for _ in 0..<1 + random.below(6) { try step() }
        guard unsafe span.withUnsafeBytes({ unsafe $0.elementsEqual(before) }) else {
          throw Violation("a value changed while a reader looked at it")
        }
      }
    }

    /// A reader takes a snapshot, which shows the same while other steps are done.
    private func lookAtSnapshotMeanwhile() throws {
      let store = try someReader()
      isReading = true
      defer { isReading = false }
      let (state, now) = (contents, time.now)
      let snapshot = try store.snapshot()
      defer { snapshot.end() }
      for _ in 0..<1 + random.below(12) {
        try step()
        if random.once(in: 3) { try check(snapshot, state, now) }
      }
      try check(snapshot, state, now)
    }

    private func check(_ snapshot: Store.Snapshot, _ state: Contents, _ now: UInt64) throws {
      var left = state.records.indices.count { state.isLive($0, at: now) }
      for (number, key) in catalogue.keys.enumerated() {
        let record = state.isLive(number, at: now) ? state[number] : nil
        guard try snapshot.get(key) == record.map({ catalogue.values[Int($0.value)] }) else {
          throw Violation("a snapshot shows another value of key \(number) than before")
        }
      }
      try snapshot.forEach { _, _ in left -= 1 }
      if left != 0 { throw Violation("a snapshot shows more or fewer keys than before") }
    }

    /// A reader goes through all keys while other steps are done.
    private func readAllMeanwhile() throws {
      let store = try someReader()
      isReading = true
      defer { isReading = false }
      let (first, before) = (states.count - 1, current)
      let now = time.now
      var left = 1 + random.below(6)
      var pause = random.below(contents.count + 1)
      var seen: [[UInt8]: [[UInt8]]] = [:]
      try store.forEach { key, value in
        seen[unsafe key.withUnsafeBytes { unsafe [UInt8]($0) }, default: []].append(
          unsafe value.withUnsafeBytes { unsafe [UInt8]($0) })
        pause -= 1
        while pause < 0, left > 0 {
          left -= 1
          try step()
        }
      }
      let possible = [states[before]] + states[min(first + 1, states.count)...]
      for (number, key) in catalogue.keys.enumerated() {
        let records = possible.map { $0[number] }
        let values = records.compactMap { $0.map { catalogue.values[Int($0.value)] } }
        let found = seen.removeValue(forKey: key) ?? []
        let isSteady =
          records.allSatisfy { $0 == records[0] } && (records[0].map { $0.expiry == .max } ?? true)
        guard found.count <= 1, found.allSatisfy({ values.contains($0) }),
          !isSteady || found.count == (records[0] == nil ? 0 : 1)
        else {
          throw Violation(
            "a reader that went through all keys met key \(number) \(found.count) times, or a wrong value "
              + "(from \(now) to \(time.now))")
        }
      }
      if !seen.isEmpty {
        throw Violation("a reader that went through all keys met some that were never there")
      }
    }
  }
#endif
