import Foundation
import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Another process cuts the file short while it is open, at each page. Calls throw errors and
/// end in no signal; no key that is there is called absent; no write into what was cut off is
/// acknowledged; and what is left is refused, unchanged, unless it is whole.
///
/// The tests run one after the other: the hook that cuts in the middle of an operation is for
/// the whole process.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct CutFileTests {
  /// What is under way when the file is cut.
  enum Occasion: String, CaseIterable {
    case get, getReadOnly, put, durablePut, largePut, remove, iterate, cursor, withValue
    case transaction, grow, checkpoint, superblockA, superblockB, verify, close
  }

  /// The key that is changed, and its new value.
  private static let key = bytes("key 7")
  private static let value = patterned(300, 9)

  /// A store, and the process that cuts it short.
  private final class Stage: @unchecked Sendable {
    // Sendable: one thread uses it, in the hook too.
    let scratch: Scratch
    let child: ChildProcess
    let image: Image
    let contents: Operation.Contents
    var path: FilePath { scratch.path() }

    init() throws {
      scratch = try .inMemory()
      let store = try scratch.store()
      var contents: Operation.Contents = [:]
      for number in 0..<40 { contents[bytes("key \(number)")] = patterned(20 + 10 * number, UInt64(number)) }
      contents[bytes("large")] = patterned(70_000, 1)
      for (key, value) in contents { try store.put(value, forKey: key) }
      try store.close()
      self.contents = contents
      image = try Image(of: scratch.path())
      child = try ChildProcess(.cutShort, [scratch.path().string])
    }

    func beginCutting(to pages: Int) throws {
      try child.send(UInt8(pages >> 8))
      try child.send(UInt8(pages & 255))
    }

    /// At the image's own end nothing is cut, so that what was added after it stays.
    func cut(to pages: Int) throws {
      if pages * Layout.pageBytes >= image.byteCount { return }
      try beginCutting(to: pages)
      guard try child.receive() != nil else { throw Errno.brokenPipe }
    }

    /// Cuts when this thread makes the nth call of a kind.
    func cutting<R>(to pages: Int, at call: SystemCall, _ nth: Int, _ body: () throws -> R) throws -> R {
      let thread = Threads.current
      let count = Mutex(0)
      let failure = Mutex<(any Error)?>(nil)
      FaultInjection.install { [unowned self] made in
        guard Threads.current == thread, made == call,
          count.withLock({
            $0 += 1; return $0 == nth
          })
        else {
          return nil
        }
        do { try self.cut(to: pages) } catch { failure.withLock { $0 = error } }
        return nil
      }
      defer {
        FaultInjection.install(nil)
        #expect(failure.withLock { $0 == nil })
      }
      return try body()
    }
  }

  @Test(arguments: Occasion.allCases)
  func theFileIsCutAtEachPage(occasion: Occasion) throws {
    let stage = try Stage()
    let start = ContinuousClock.now
    let pages = stage.image.byteCount / Layout.pageBytes
    var worked = 0
    for page in 0...pages {
      try stage.image.lay(at: stage.path)
      let hasWorked = try run(occasion, stage, page)
      if hasWorked { worked += 1 }
      try checkWhatIsLeft(stage, page, occasion, hasWorked: hasWorked)
    }
    // It works if nothing that it needs was cut off.
    #expect(worked > 0, "\(occasion) never worked")
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    print("kvmap: file cut at \(pages + 1) pages during \(occasion): \(worked) worked, \(seconds) s")
  }

  /// Whether nothing was thrown.
  private func run(_ occasion: Occasion, _ stage: Stage, _ page: Int) throws -> Bool {
    let what: Comment = "\(occasion), cut at page \(page)"
    let store = try stage.scratch.store {
      if occasion == .getReadOnly { $0.access = .readOnly }
    }
    defer { try? store.close() }
    var works = true
    func attempt(_ body: () throws -> Void) {
      do {
        try body()
      } catch let error as Store.Error {
        works = false
        // `verify` opens the store anew, and of an empty file nothing is left.
        let isEmpty = page == 0 && occasion == .verify && error.code == .notFound
        #expect([.lost, .damaged].contains(error.code) || isEmpty, "\(what.rawValue): \(error)")
      } catch {
        Issue.record("\(what.rawValue): \(error)")
      }
    }
    let (key, value) = (Self.key, Self.value)
    switch occasion {
    case .get, .getReadOnly:
      // Pages that were read before are remembered as intact. Half of the keys are.
      for key in stage.contents.keys.prefix(20) { #expect(try store.get(key) == stage.contents[key]) }
      try stage.cut(to: page)
      for (key, value) in stage.contents {
        attempt { () throws in #expect(try store.get(key) == value, what) }
        attempt { () throws in #expect(try store.contains(key), what) }
      }
      attempt { () throws in #expect(try store.get("nobody's") == nil, what) }
    case .put, .durablePut, .largePut, .remove:
      try store.put(value, forKey: "before")
      try stage.cut(to: page)
      attempt {
        switch occasion {
        case .remove: #expect(try store.remove(key), what)
        case .largePut: try store.put(patterned(100_000, 2), forKey: key)
        default: try store.put(value, forKey: key, durability: occasion == .durablePut ? .onCommit : nil)
        }
        try expectUncut(store, occasion == .remove ? [] : [key], page, what)
      }
    case .iterate:
      var found: Operation.Contents = [:]
      attempt {
        try store.forEach { key, value in
          if found.isEmpty { try stage.cut(to: page) }
          found[key.array] = value.array
        }
        #expect(found == stage.contents, what)
      }
    case .cursor:
      var cursor = store.makeCursor()
      var found: Operation.Contents = [:]
      attempt {
        while let entry = try cursor.next() {
          if found.isEmpty { try stage.cut(to: page) }
          found[entry.key] = entry.value
        }
        #expect(found == stage.contents, what)
      }
    case .withValue:
      attempt {
        let found = try store.withValue(forKey: "large") { span in
          try stage.cut(to: page)
          return span.array
        }
        #expect(found == stage.contents[bytes("large")], what)
      }
    case .transaction:
      attempt {
        try store.transaction { transaction in
          try transaction.put(value, forKey: "first")
          try stage.cut(to: page)
          #expect(try transaction.get("first") == value, what)
          try transaction.put(value, forKey: key)
        }
        try expectUncut(store, [bytes("first"), key], page, what)
      }
    case .grow:
      try stage.cut(to: page)
      attempt { try store.put(patterned(4 << 20, 3), forKey: "larger than the file") }
    case .checkpoint, .superblockA, .superblockB:
      try store.put(value, forKey: key)
      let nth = occasion == .checkpoint ? 1 : occasion == .superblockA ? 2 : 3
      attempt { try stage.cutting(to: page, at: .msync, nth) { try store.checkpoint() } }
    case .verify:
      try stage.cut(to: page)
      attempt {
        let report = try store.verify()
        if !report.isSound { works = false }
      }
    case .close:
      try store.put(value, forKey: key)
      try stage.cut(to: page)
      attempt { try store.close() }
    }
    return works
  }

  /// Records and slots of these keys lie in what is left of the file.
  private func expectUncut(_ store: Store, _ keys: [[UInt8]], _ page: Int, _ what: Comment) throws {
    for key in keys {
      let match = try #require(try store.match(key), what)
      let length = page * Layout.pageBytes
      #expect(Int(match.position.offset) + match.header.storedBytes <= length, what)
      #expect(match.slotOffset < length, what)
    }
  }

  /// What is left is whole, with all that was acknowledged, or it is refused and stays as it is.
  private func checkWhatIsLeft(
    _ stage: Stage, _ page: Int, _ occasion: Occasion, hasWorked: Bool
  ) throws {
    let what: Comment = "\(occasion), cut at page \(page)"
    let length = try File(opening: stage.path, access: .readOnly).status().size
    if length == 0 {
      // An emptied store is the same as an empty file.
      #expect(try stage.scratch.store { $0.create = true }.count == 0, what)
      return
    }
    let store: Store
    do {
      store = try stage.scratch.store()
    } catch {
      #expect(error.code == .damaged, "\(what.rawValue): \(error)")
      #expect(length == Int64(page * Layout.pageBytes), what)
      #expect(try File(opening: stage.path, access: .readOnly).status().size == length, what)
      #expect(length < stage.image.byteCount, what)
      return
    }
    for (key, value) in stage.contents where key != Self.key { #expect(try store.get(key) == value, what) }
    if hasWorked, [.put, .durablePut, .transaction].contains(occasion) {
      #expect(try store.get(Self.key) == Self.value, what)
    }
    try expectSound(store, what)
  }

  @Test func theFileIsCutAtRandomInstants() throws {
    let seed = testSeed("theFileIsCutAtRandomInstants")
    var generator = SeededGenerator(seed: seed)
    let stage = try Stage()
    let pages = stage.image.byteCount / Layout.pageBytes
    var lost = 0
    for round in 0..<200 * testScale {
      try stage.image.lay(at: stage.path)
      let store = try stage.scratch.store()
      let isWriting = generator.chance(50)
      // Often within the first pages, which are in use.
      try stage.beginCutting(to: generator.below(generator.chance(50) ? pages : 80))
      var isCut = false
      reading: while true {
        let isLast = isCut
        for (key, value) in stage.contents {
          do {
            if isWriting { try store.put(value, forKey: key) }
            #expect(try store.get(key) == value, "round \(round)")
          } catch {
            #expect([.lost, .damaged].contains(error.code), "round \(round): \(error)")
            lost += 1
            break reading
          }
        }
        if isLast { break }
        isCut = stage.child.hasNews(within: 0)
      }
      #expect(try stage.child.receive() == 1)
    }
    #expect(lost > 50, "only \(lost) rounds lost anything")
  }
}
