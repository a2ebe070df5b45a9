import TestSupport

@testable import KVMap

/// One step of a writer that will be killed. It follows from a seed and its number.
enum Step: Equatable {
  case operation(Operation)
  /// Puts one of the steady keys, which are always there.
  case steady(Int)
  /// A transaction that puts all steady keys, every other one after removing it; or one that
  /// changes them and aborts.
  case allSteady(aborts: Bool)
  /// Puts a key that has expired already, or one that expires long after the test.
  case expiring(Int, lasts: Bool)
  case checkpoint
  /// Takes a snapshot, or ends the one that is open, which must show the same as at first.
  case snapshot
  case compact
  case reopen

  static let expiringKeys = 4

  init(_ script: Script) {
    let number = script.number
    switch number % 16 {
    case 2: self = .allSteady(aborts: false)
    case 10: self = .allSteady(aborts: true)
    case 12: self = .expiring(number / 16 % Self.expiringKeys, lasts: number / 64 % 2 == 0)
    case 14 where number / 16 % 2 == 1: self = .compact
    case 4 where number / 16 % 2 == 1: self = .snapshot
    case 6: self = number / 16 % 2 == 0 ? .checkpoint : .reopen
    case let other where other % 2 == 1: self = .steady(number / 2 % Board.steadyKeys)
    default: self = .operation(Operation(seed: script.seed, number: number, mix: script.mix))
    }
  }

  var phase: KillPhase {
    switch self {
    case .operation(.put(_, let value, _)): Self.isLarge(value) ? .large : .writing
    case .operation(.remove), .steady, .expiring: .writing
    case .operation(.transaction), .allSteady: .transaction
    case .checkpoint: .checkpointing
    case .snapshot: .freezing
    case .compact: .compacting
    case .reopen: .closing
    }
  }

  private static func isLarge(_ value: [UInt8]) -> Bool { value.count > Layout.largestInlineValue }
}

/// What a writer does, and what the store holds then.
struct Script {
  let seed: UInt64
  var mix: Operation.Mix
  /// The next step.
  var number = 1
  /// What the store holds of this writer before that step.
  var contents = Operation.Contents()

  init(seed: UInt64, prefix: String = "") {
    self.seed = seed
    mix = KillTests.mix
    mix.prefix = TestSupport.bytes(prefix)
    for key in 0..<Board.steadyKeys { contents[steadyKey(key)] = Self.steadyValue(key, 0) }
  }

  // MARK: Steady keys

  func steadyKey(_ key: Int) -> [UInt8] { mix.prefix + TestSupport.bytes("steady \(key)") }

  func expiringKey(_ key: Int) -> [UInt8] { mix.prefix + TestSupport.bytes("expiring \(key)") }

  /// Its first eight bytes are the step's number. Some values are so long that they need units
  /// of their own.
  static func steadyValue(_ key: Int, _ number: Int) -> [UInt8] {
    let mixed = number &* 31 &+ key
    let count = mixed % 29 == 0 ? 66_000 + mixed % 7 * 20_000 : 8 + mixed % 300
    return patterned(count, UInt64(number))
  }

  static func number(ofSteady value: [UInt8]) -> Int {
    value.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  // MARK: On a dictionary

  /// Does the next step.
  mutating func advance() {
    switch Step(self) {
    case .operation(let operation): operation.apply(to: &contents)
    case .steady(let key): contents[steadyKey(key)] = Self.steadyValue(key, number)
    case .allSteady(aborts: false):
      for key in 0..<Board.steadyKeys { contents[steadyKey(key)] = Self.steadyValue(key, number) }
    case .expiring(let key, let lasts):
      contents[expiringKey(key)] = lasts ? Self.steadyValue(key, number) : nil
    case .allSteady(aborts: true), .checkpoint, .snapshot, .compact, .reopen: break
    }
    number += 1
  }

  func advanced() -> Script {
    var copy = self
    copy.advance()
    return copy
  }

  /// After a kill: the steps that had returned are done, the next one as a whole or not at all.
  mutating func settle(returned: Int, _ found: Operation.Contents) throws {
    for _ in 0..<returned { advance() }
    let next = advanced()
    if found == next.contents {
      self = next
    } else if found != contents {
      let differing = Set(found.keys).union(contents.keys).filter { found[$0] != contents[$0] }
      throw KillFailure(
        "neither before nor after step \(number), \(Step(self).phase); differing from before: "
          + "\(differing.map { String(decoding: $0.prefix(20), as: UTF8.self) })")
    }
  }

  // MARK: On a store

  /// In a child: opens the store and does one step after the other.
  func run(_ path: String, _ mode: String, _ target: KillTarget) throws {
    var script = self
    var store = try Self.open(path, mode, target)
    var kept: KeptSnapshot?
    while true {
      let step = Step(script)
      target.enter(step.phase)
      switch step {
      case .reopen:
        try kept?.end()
        kept = nil
        try store.close()
        store = try Self.open(path, mode, target)
      case .snapshot:
        if let old = kept {
          try old.end()
          kept = nil
        } else {
          kept = try KeptSnapshot(store)
        }
      default: try script.perform(step, store)
      }
      script.raiseFloors(step, target.board)
      target.board.returned += 1
      script.number += 1
    }
  }

  private static func open(_ path: String, _ mode: String, _ target: KillTarget) throws -> Store {
    var options = Store.Options(timeout: .seconds(100))
    switch mode {
    case "onCommit": options.durability = .onCommit
    case "interval": options.durability = .interval(milliseconds: 2)
    case "exclusive": options.exclusive = true
    default: break
    }
    target.enter(.opening)
    let store = try Store(path: path, options: options)
    // Takes over from a writer that died with the write lock.
    try store.core.withWriteLock { _ throws(Store.Error) in }
    return store
  }

  private func perform(_ step: Step, _ store: Store) throws {
    switch step {
    case .operation(let operation): try operation.apply(to: store)
    case .steady(let key): try store.put(Self.steadyValue(key, number), forKey: steadyKey(key))
    case .allSteady(let aborts):
      do {
        try store.transaction { transaction in
          for key in 0..<Board.steadyKeys {
            if aborts || key % 2 == 1 { try transaction.remove(steadyKey(key)) }
            if !aborts { try transaction.put(Self.steadyValue(key, number), forKey: steadyKey(key)) }
          }
          if aborts { throw Operation.Abort() }
        }
      } catch is Operation.Abort {}
    case .expiring(let key, let lasts):
      try store.put(
        Self.steadyValue(key, number), forKey: expiringKey(key),
        expires: .at(millisecondsSince1970: lasts ? 1 << 50 : 1))
    case .checkpoint: try store.checkpoint()
    case .compact: try store.compact()
    case .snapshot, .reopen: break
    }
  }

  private func raiseFloors(_ step: Step, _ board: Board) {
    switch step {
    case .steady(let key): board[floor: key] = number
    case .allSteady(aborts: false):
      for key in 0..<Board.steadyKeys { board[floor: key] = number }
    default: break
    }
  }
}
