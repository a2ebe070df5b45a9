import Foundation
import SystemPackage
import TestSupport

/// Kills processes that change a store of one kind, and counts what is left of the changes that
/// had returned. For exit tests.
struct KillComparison {
  /// What was found after one kill, as words in shared memory.
  enum Word: Int, CaseIterable {
    case returned, opened
    /// Counts before a repair, then after it.
    case lost, wrong, refused, repair, lostAfter, wrongAfter, refusedAfter
  }

  /// How many kills had which effect, and how many records were concerned.
  struct Counts {
    var kills = 0
    var right = 0
    var withLosses = 0
    var lostRecords = 0
    var withWrong = 0
    var wrongRecords = 0
    var repairs = 0
    var failedRepairs = 0
    var unopenable = 0
    var crashes = 0
  }

  let subject: any CrashSubject
  let scratch: Scratch
  let seed: UInt64
  private let words = SharedBytes(4_096)

  /// Kills `kills` processes, each after `longest` changes at most.
  func run(_ kills: Int, longest: Int) throws -> Counts {
    let template = scratch.path("template")
    try subject.create(template, CrashScript.initial)
    let image = try contents(template)
    var counts = Counts()
    var generator = SeededGenerator(seed: seed)
    for kill in 0..<kills {
      let path = scratch.path("\(kill)")
      try writeSparsely(image, to: path)
      let script = CrashScript(seed: seed &+ UInt64(kill) << 32)
      for word in Word.allCases { words[word.rawValue] = 0 }
      self.kill(path, script, after: generator.number(0...longest), &generator)
      count(examine(path, script), &counts)
      for name in try scratch.names where name != "template" {
        try FileManager.default.removeItem(atPath: scratch.path(name).string)
      }
    }
    return counts
  }

  /// Keeps the holes, since most of a small KVMap file is one.
  private func writeSparsely(_ image: [UInt8], to path: FilePath) throws {
    let file = try FileDescriptor.open(
      path, .writeOnly, options: [.create, .truncate], permissions: .ownerReadWrite)
    defer { try? file.close() }
    let block = 4_096
    let empty = ArraySlice([UInt8](repeating: 0, count: block))
    for start in stride(from: 0, to: image.count, by: block) {
      let bytes = image[start..<min(start + block, image.count)]
      if bytes != empty { try file.writeAll(toAbsoluteOffset: Int64(start), bytes) }
    }
    try file.resize(to: Int64(image.count))
  }

  private subscript(word: Word) -> Int {
    get { words[word.rawValue] }
    nonmutating set { words[word.rawValue] = newValue }
  }

  private func kill(
    _ path: FilePath, _ script: CrashScript, after: Int, _ generator: inout SeededGenerator
  ) {
    let child = ForkedChild(isQuiet: true) {
      try subject.change(path, script) { self[.returned] = $0 }
    }
    while self[.returned] < after, !child.hasEnded { sched_yield() }
    let end = ContinuousClock.now + .microseconds(generator.number(0...1 << generator.number(0...8)))
    while ContinuousClock.now < end {}
    child.kill()
  }

  private func examine(_ path: FilePath, _ script: CrashScript) -> ForkedChild.End {
    let allowed = script.allowed(after: self[.returned])
    let child = ForkedChild(isQuiet: true) {
      ForkedChild.limitTime(seconds: 10)
      var (lost, wrong, refused) = (Word.lost, Word.wrong, Word.refused)
      let repair = try subject.examine(path) { get in
        self[.opened] = 1
        for (key, values) in allowed {
          do {
            let found = try get(key)
            if values.contains(found) { continue }
            self[found == nil ? lost : wrong] += 1
          } catch {
            self[refused] += 1
          }
        }
        let isAnswered = self[refused] == 0
        (lost, wrong, refused) = (.lostAfter, .wrongAfter, .refusedAfter)
        return isAnswered
      }
      self[.repair] = repair == .unneeded ? 0 : repair == .done ? 1 : 2
    }
    return child.wait()
  }

  private func count(_ end: ForkedChild.End, _ counts: inout Counts) {
    counts.kills += 1
    if case .signal = end {
      counts.crashes += 1
    } else if self[.opened] == 0 {
      counts.unopenable += 1
    } else if end != .well {
      counts.repairs += 1
      counts.failedRepairs += 1
    } else {
      let isRepaired = self[.repair] != 0
      if isRepaired {
        counts.repairs += 1
        if self[.repair] == 2 || self[.refusedAfter] > 0 { counts.failedRepairs += 1 }
      }
      let lost = isRepaired ? self[.lostAfter] : self[.lost]
      let wrong = isRepaired ? self[.wrongAfter] : self[.wrong]
      counts.withLosses += lost > 0 ? 1 : 0
      counts.lostRecords += lost
      counts.withWrong += wrong > 0 ? 1 : 0
      counts.wrongRecords += wrong
      if lost + wrong == 0, !isRepaired { counts.right += 1 }
    }
  }
}
