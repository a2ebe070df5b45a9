import Synchronization
import TestSupport
import Testing

@testable import KVMap

// Several threads read and write through one or two handles.
extension HandleTests {
  /// Two readers of one handle saw the file grow at the same time. One of them read beyond
  /// what was mapped, found that the other had mapped it meanwhile, and took that for damage.
  @Test func threadsReadThroughOneHandleWhileTheFileGrows() throws {
    let scratch = try Scratch()
    let writer = try scratch.store { $0.exclusive = true }
    let reader = try scratch.store { $0.access = .readOnly }
    let isDone = Atomic<Bool>(false)
    let problems = Mutex<[String]>([])
    let threads = Threads(4) {
      while !isDone.load(ordering: .relaxed) {
        do {
          guard let current = try reader.get("current") else { continue }
          if try reader.get(current) == nil { problems.withLock { $0.append("absent: \(current)") } }
        } catch {
          problems.withLock { $0.append("\(error)") }
        }
      }
    }
    let value = patterned(60_000, 3)
    for number in 0..<1_500 {
      try writer.put(value, forKey: "value \(number)")
      try writer.put("value \(number)", forKey: "current")
    }
    isDone.store(true, ordering: .relaxed)
    threads.join()
    let found = problems.withLock { $0 }
    #expect(found.isEmpty, "\(found.count), the first: \(found.first ?? "")")
  }

  /// Two handles, each with threads that write and threads that read.
  @Test func threadsOfTwoHandlesLoseNoUpdate() throws {
    let scratch = try Scratch()
    let handles = [try scratch.store(), try scratch.store { $0.durability = .interval(milliseconds: 1) }]
    let problems = Mutex<[String]>([])
    let turn = Atomic<Int>(0)
    Threads(4) {
      let own = turn.wrappingAdd(1, ordering: .relaxed).oldValue
      let store = handles[own % 2]
      do {
        var highest = 0
        for _ in 0..<150 {
          try store.transaction { transaction in
            let sum = try transaction.get("sum", as: String.self).flatMap { Int($0) } ?? 0
            try transaction.put("\(sum + 1)", forKey: "sum")
            try transaction.put(patterned(70_000, UInt64(sum)), forKey: "large \(own)")
          }
          let seen = try handles[1 - own % 2].get("sum", as: String.self).flatMap { Int($0) } ?? 0
          if seen <= highest { problems.withLock { $0.append("\(seen) after \(highest)") } }
          highest = seen
        }
      } catch {
        problems.withLock { $0.append("\(error)") }
      }
    }.join()
    #expect(problems.withLock { $0 } == [])
    #expect(try handles[0].get("sum", as: String.self) == "600")
    for store in handles { try expectSound(store) }
  }

  /// While a writer synced each commit, `verify` took a record that was appended meanwhile
  /// for damage.
  @Test func verifyingBesideAWriterFindsNoDamage() throws {
    let scratch = try Scratch()
    let store = try scratch.store { $0.durability = .onCommit }
    let isDone = Atomic<Bool>(false)
    let threads = Threads(1) {
      var number: UInt64 = 0
      while !isDone.load(ordering: .relaxed) {
        number += 1
        _ = try? store.put(patterned(65_000, number), forKey: "key \(number % 10)")
        if number % 300 == 0 { try? store.checkpoint() }
      }
    }
    var faults: [Store.VerificationReport.Fault] = []
    for _ in 0..<100 * testScale { faults += try store.verify().faults }
    isDone.store(true, ordering: .relaxed)
    threads.join()
    #expect(faults.isEmpty, "\(faults.count), the first: \(faults.first?.description ?? "")")
  }

  /// The same for a reading handle beside a handle that writes.
  @Test func verifyingThroughAReaderFindsNoDamage() throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    let reader = try scratch.store { $0.access = .readOnly }
    let isDone = Atomic<Bool>(false)
    let threads = Threads(1) {
      var number: UInt64 = 0
      while !isDone.load(ordering: .relaxed) {
        number += 1
        _ = try? store.transaction { transaction in
          for key in 0..<5 { try transaction.put(patterned(400, number), forKey: "key \(key)") }
          try transaction.put(patterned(66_000, number), forKey: "large \(number % 7)")
          try transaction.put("new", forKey: "new \(number)")
        }
      }
    }
    var faults: [Store.VerificationReport.Fault] = []
    for _ in 0..<40 * testScale { faults += try reader.verify().faults }
    isDone.store(true, ordering: .relaxed)
    threads.join()
    #expect(faults.isEmpty, "\(faults.count), the first: \(faults.first?.description ?? "")")
  }
}
