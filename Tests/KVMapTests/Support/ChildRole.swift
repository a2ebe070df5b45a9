import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a child process does, with its arguments. "Tells" means that it sends a byte.
enum ChildRole: String {
  /// Path, seed, first number, mode, prefix of keys. Does one operation after the other, and
  /// tells when it has returned.
  case operations
  /// Path. Waits for a byte, then opens the store and tells.
  case open
  /// Directory. Makes the stores 0, 1, 2… one after the other, and tells after each.
  case create
  /// Directory. For each byte it gets, opens the next of the stores 0, 1, 2…, adds one to "sum",
  /// and tells.
  case openTogether
  /// Directory, name, count. For each byte it gets, opens or makes the next of the stores 0, 1,
  /// 2…, puts its name, and tells.
  case createTogether
  /// Path. Holds the write lock until it gets a byte.
  case holdWriteLock
  /// Path, size in bytes. Commits that many bytes, and is killed within a transaction.
  case dieInTransaction
  /// Path. For each byte it gets, puts the next number for "key", and tells.
  case count
  /// Path, writer's name, count. Increments the value of "sum" that often.
  case increment
  /// Path, own key, number. Increments "counter" and the key until the key has reached the
  /// number; tells after each hundredth.
  case countUp
  /// Path, seed, prefix, steps. Writes and compacts; tells at the end.
  case stir
  /// Path, path of a copy. Keeps the copy equal, and tells after each commit.
  case follow
  /// Path. Reads until it gets a byte; tells 0 if all went well, else 1.
  case read
  /// Path, MiB. Makes the store so much larger, counts up "current", and tells after each MiB.
  case grow
  /// Path. Takes a snapshot, and tells. For each byte it gets, tells 0 if the snapshot shows the
  /// same as at first, else 1.
  case holdSnapshot
  /// Path, occasion. A sync fails, and it tells. Writes for each of two bytes it gets, and ends.
  case failSync
  /// Path. For each two bytes it gets, cuts the file to so many pages of 4 KiB, and tells.
  case cutShort
  /// Path, limit for the length of files or 0. Fills the disk, tells after each put, and is
  /// killed within a transaction.
  case fillAndDie
  /// Path, count. Fills a store, tells, waits, removes so many keys, and is killed.
  case removeAndDie
  #if os(Linux)
    /// Mount point, directory, kind of renaming. Serves a file system.
    case serveFiles
    /// Path. Fills a store, in part durably, and tells. Then does what each byte says.
    case loseWrites
  #endif
}

/// Where a child begins. This is no test: it is skipped unless the process is a child.
struct ChildEntry {
  @Test(.enabled(if: ChildProcess.request != nil))
  func run() throws {
    guard let request = ChildProcess.request, let role = ChildRole(rawValue: request[0]) else { return }
    dup2(5, 2)
    do {
      try Self.run(role, Array(request.dropFirst()))
    } catch {
      FileHandle.standardError.write(Data("child \(role): \(error)\n".utf8))
      exit(1)
    }
    exit(0)
  }

  private static func run(_ role: ChildRole, _ arguments: [String]) throws {
    switch role {
    case .operations: try operations(arguments)
    case .open:
      try Parent.tell()
      try Parent.listen()
      try withExtendedLifetime(Store(path: arguments[0])) { try Parent.tell() }
    case .create:
      for number in 0... {
        let store = try Store(path: "\(arguments[0])/\(number)")
        try store.put("first", forKey: "key")
        try Parent.tell()
      }
    case .openTogether:
      try Parent.tell()
      for number in 0... {
        try Parent.listen()
        let store = try Store(path: "\(arguments[0])/\(number)")
        try store.increment("sum")
        try store.close()
        try Parent.tell()
      }
    case .createTogether:
      for number in 0..<(Int(arguments[2]) ?? 0) {
        try Parent.listen()
        let store = try Store(path: "\(arguments[0])/\(number)")
        try store.put(arguments[1], forKey: arguments[1])
        try store.close()
        try Parent.tell()
      }
    case .holdWriteLock:
      let store = try Store(path: arguments[0], options: Store.Options(exclusive: true))
      try store.put("by the child", forKey: "holder")
      try Parent.tell()
      try Parent.listen()
      try store.close()
    case .dieInTransaction: try dieInTransaction(arguments)
    case .count: try count(arguments)
    case .increment: try increment(arguments)
    case .countUp: try countUp(arguments)
    case .stir:
      let stirring = Stirring(seed: UInt64(arguments[1])!, prefix: arguments[2], steps: Int(arguments[3])!)
      try stirring.run(on: Store(path: arguments[0]))
      try Parent.tell()
    case .follow: try follow(arguments)
    case .read: try read(arguments)
    case .grow: try grow(arguments)
    case .holdSnapshot: try holdSnapshot(arguments)
    case .failSync: try KVMapTests.failSync(arguments)
    case .cutShort: try cutShort(arguments)
    case .fillAndDie: try FullDisk.fillAndDie(arguments)
    case .removeAndDie: try FullDisk.removeAndDie(arguments)
    #if os(Linux)
      case .serveFiles: try UserFileSystem.serve(arguments)
      case .loseWrites: try LostWrites.fill(arguments)
    #endif
    }
  }

  private static func operations(_ arguments: [String]) throws {
    var options = Store.Options()
    if arguments[3] == "onCommit" { options.durability = .onCommit }
    if arguments[3] == "exclusive" { options.exclusive = true }
    let store = try Store(path: arguments[0], options: options)
    try Parent.tell()
    guard let seed = UInt64(arguments[1]), let first = Int(arguments[2]) else { return }
    var mix = KillTests.mix
    mix.prefix = bytes(arguments[4])
    for number in first... {
      try Operation(seed: seed, number: number, mix: mix).apply(to: store)
      try Parent.tell()
      // The kill may come within a checkpoint too.
      if number % 97 == 0 { try store.checkpoint() }
    }
  }

  private static func follow(_ arguments: [String]) throws {
    var follower = try Follower(Store(path: arguments[0]), Store(path: arguments[1]))
    while true {
      if try follower.step(within: .seconds(1)) { try Parent.tell() }
    }
  }

  private static func cutShort(_ arguments: [String]) throws {
    while true {
      let pages = try Int(Parent.listen()) << 8 | Int(Parent.listen())
      let file = try FileDescriptor.open(FilePath(arguments[0]), .writeOnly)
      try file.closeAfter { try file.resize(to: Int64(pages * Layout.pageBytes)) }
      try Parent.tell()
    }
  }

  private static func dieInTransaction(_ arguments: [String]) throws {
    let store = try Store(path: arguments[0])
    let value = [UInt8](repeating: 1, count: 60_000)
    for number in 0...Int(arguments[1])! / value.count { try store.put(value, forKey: "filler \(number)") }
    try store.put("committed", forKey: "before")
    try store.transaction { transaction in
      for number in 0..<50 { try transaction.put("never", forKey: "torn \(number)") }
      try transaction.put("never", forKey: "before")
      try Parent.tell()
      kill(getpid(), SIGKILL)
    }
  }

  private static func count(_ arguments: [String]) throws {
    let store = try Store(path: arguments[0])
    try Parent.tell()
    for number in 1... {
      try Parent.listen()
      try store.put("\(number)", forKey: "key")
      try Parent.tell()
    }
  }

  private static func increment(_ arguments: [String]) throws {
    let store = try Store(path: arguments[0])
    for _ in 0..<Int(arguments[2])! {
      try store.transaction { transaction in
        let sum = try transaction.get("sum", as: String.self).flatMap { Int($0) } ?? 0
        let own = try transaction.get(arguments[1], as: String.self).flatMap { Int($0) } ?? 0
        try transaction.put("\(sum + 1)", forKey: "sum")
        try transaction.put("\(own + 1)", forKey: arguments[1])
      }
    }
    try Parent.tell()
  }

  private static func countUp(_ arguments: [String]) throws {
    let store = try Store(path: arguments[0], options: Store.Options(timeout: .seconds(60)))
    while true {
      // An increment that was done before a kill counts, even if it was not told.
      let done = try store.increment(arguments[1], by: 0)
      if done >= Int64(arguments[2])! { break }
      try store.increment("counter")
      if try store.increment(arguments[1]) % 100 == 0 { try Parent.tell() }
    }
  }

  private static func grow(_ arguments: [String]) throws {
    let store = try Store(path: arguments[0], options: Store.Options(timeout: .seconds(60)))
    let filler = 32_000
    var number = try store.get("current", as: String.self).flatMap { Int($0) } ?? 0
    let end = number + Int(arguments[1])! << 20 / filler
    while number < end {
      number += 1
      let value = patterned(number % 20 == 0 ? 90_000 : 300, UInt64(number))
      try store.put(value, forKey: "value \(number % 64)")
      try store.put(patterned(filler, UInt64(number)), forKey: "filler \(number)")
      try store.put("\(number)", forKey: "current")
      if (number * filler) >> 20 > ((number - 1) * filler) >> 20 { try Parent.tell() }
    }
    try store.close()
  }

  private static func holdSnapshot(_ arguments: [String]) throws {
    let snapshot = try Store(path: arguments[0]).snapshot()
    func everything() throws -> (count: Int, sum: Int) {
      var (count, sum) = (0, 0)
      try snapshot.forEach { key, value in
        count += 1
        // The order may be any.
        sum &+= (key.array + value.array).hashValue
      }
      return (count, sum)
    }
    let before = try everything()
    try Parent.tell()
    try Parent.listen()
    try Parent.tell(try everything() == before ? 0 : 1)
    try Parent.listen()
  }

  private static func read(_ arguments: [String]) throws {
    let store = try Store(path: arguments[0], options: Store.Options(access: .readOnly))
    try Parent.tell()
    var isSound = true
    var highest = 0
    while isSound {
      // The writer keeps this true at each instant.
      let current = try store.get("current", as: String.self).flatMap { Int($0) } ?? 0
      isSound = current >= highest
      highest = max(highest, current)
      if current > 0 {
        let value = try store.get("value \(current % 64)") ?? []
        let number = Script.number(ofSteady: value)
        isSound =
          isSound && number >= current && number % 64 == current % 64
          && value == patterned(value.count, UInt64(number))
      }
      var descriptor = pollfd(fd: Parent.input.rawValue, events: Int16(POLLIN), revents: 0)
      if unsafe poll(&descriptor, 1, 0) > 0 { break }
    }
    try Parent.tell(isSound ? 0 : 1)
  }
}
