import KVMap
import TestSupport
import Testing

/// The same random operations on KVMap, on gdbm and on a dictionary. The dictionary is the
/// judge: both stores must give its answers.
@Suite("Against gdbm and a dictionary")
struct JudgeTests {
  @Test("Random operations", arguments: Workload.all)
  func randomOperations(_ workload: Workload) throws {
    let scratch = try Scratch()
    let dictionary = DictionarySubject()
    let store = try StoreSubject(scratch.path("store.kvmap"))
    let gdbm = try GDBMSubject(scratch.path("store.gdbm"))
    let seed = testSeed("JudgeTests")
    var generator = SeededGenerator(seed: seed)
    for step in 0..<workload.steps * testScale {
      let operation = workload.operation(&generator)
      let place = "seed \(seed), \(workload.name), step \(step): \(operation)"
      let right = try dictionary.perform(operation)
      try compare(right, try store.perform(operation), StoreSubject.name, place)
      try compare(right, try gdbm.perform(operation), GDBMSubject.name, place)
      if case .reopen = operation {
        try compare(dictionary.contents(), try store.contents(), StoreSubject.name, place)
        try verify(store, place)
      }
    }
    let last = Operation.reopen(exclusive: false, durability: .none)
    let place = "seed \(seed), \(workload.name), at the end"
    for subject in [store, gdbm] as [any Subject] {
      _ = try subject.perform(last)
      try compare(dictionary.contents(), try subject.contents(), type(of: subject).name, place)
    }
    try verify(store, place)
    try store.close()
  }

  private func verify(_ store: StoreSubject, _ place: String) throws {
    let report = try Store.verify(store.path)
    if !report.isSound { throw Disagreement("\(place): \(report.faults.prefix(5))") }
  }

  private func compare(_ right: Answer, _ found: Answer, _ name: String, _ place: String) throws {
    if right != found { throw Disagreement("\(place): \(name) answers \(found), right is \(right)") }
  }

  /// Compares key by key, in both directions.
  private func compare(
    _ right: [[UInt8]: [UInt8]], _ found: [[UInt8]: [UInt8]], _ name: String, _ place: String
  ) throws {
    for (key, value) in right where found[key] != value {
      throw Disagreement(
        "\(place): \(name) has \(show(found[key])) for \(show(key)), right is \(show(value))")
    }
    for (key, value) in found where right[key] == nil {
      throw Disagreement("\(place): \(name) has \(show(value)) for \(show(key)), which should not be there")
    }
  }
}
