import Foundation

/// The figures of a run.
struct Report {
  let workload: Workload
  let contenders: [About]
  let phases: [Phase]
  /// For each round, by contender and title of the row.
  let rounds: [[String: [String: Double]]]

  /// The rows that at least one contender has a figure for.
  var rows: [Row] {
    phases.flatMap(\.rows).filter { row in contenders.contains { median($0, row) != nil } }
  }

  /// The contender that others are compared with: KVMap, or the first if KVMap is not in the run.
  var yardstick: About { contenders.first { $0.name == SharedStore.about.name } ?? contenders[0] }

  func values(_ contender: About, _ row: Row) -> [Double] {
    rounds.compactMap { $0[contender.name]?[row.title] }
  }

  func median(_ contender: About, _ row: Row) -> Double? {
    let values = values(contender, row)
    return values.isEmpty ? nil : values.median
  }

  /// The contender's figure as a multiple of the yardstick's.
  func ratio(_ contender: About, _ row: Row) -> Double? {
    guard let own = median(contender, row), let other = median(yardstick, row), other > 0 else { return nil }
    return own / other
  }

  var headline: String {
    "\(workload.count) records of \(workload.keyBytes) + \(workload.valueBytes) bytes, "
      + (rounds.count == 1 ? "one round" : "medians of \(rounds.count) rounds")
  }

  // MARK: JSON

  private struct Document: Encodable {
    let records, keyBytes, valueBytes: Int
    let contenders: [About]
    let figures: [Figure]
  }

  private struct Figure: Encodable {
    let title, unit: String
    /// By contender.
    let median: [String: Double]
    let rounds: [String: [Double]]
  }

  var json: Data {
    get throws {
      let figures = rows.map { row in
        let rounds = Dictionary(uniqueKeysWithValues: contenders.map { ($0.name, values($0, row)) })
          .filter { !$0.value.isEmpty }
        return Figure(
          title: row.title, unit: row.unit.rawValue, median: rounds.mapValues(\.median), rounds: rounds)
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return try encoder.encode(
        Document(
          records: workload.count, keyBytes: workload.keyBytes, valueBytes: workload.valueBytes,
          contenders: contenders, figures: figures))
    }
  }
}
