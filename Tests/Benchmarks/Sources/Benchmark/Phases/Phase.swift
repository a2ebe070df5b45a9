/// A part of the workload. To add one, write it into a file of this folder and list it in `all`.
struct Phase {
  /// The name that `--only` takes.
  let name: String
  let rows: [Row]
  /// Whether it works on the records that `load` put.
  let needsRecords: Bool
  /// Made before any clock runs.
  let work: @Sendable (Workload) -> Work
  /// Returns a figure for each row, nil where there is none. Returns nil if the contender cannot run it.
  let run: @Sendable (Trial, Work) throws -> [Double?]?

  init(
    _ name: String, _ rows: [Row], needsRecords: Bool = true,
    work: @escaping @Sendable (Workload) -> Work = Work.none,
    run: @escaping @Sendable (Trial, Work) throws -> [Double?]?
  ) {
    self.name = name
    self.rows = rows
    self.needsRecords = needsRecords
    self.work = work
    self.run = run
  }

  /// In the order in which they run.
  static let all = [
    create, load, getPresent, getInPlace, getMany, getAbsent, overwrite, zipfHalf, zipfFew, overwriteLatency,
    scan, walkKeys, walk, memory, openForWriting, openForReading, delete, loadInBatches, durablePut,
    durableBatch,
  ]

  /// The phases with these names, and the load if they need it; all phases for nil.
  static func selected(_ names: [String]?) throws -> [Phase] {
    guard let names else { return all }
    for name in names where !all.contains(where: { $0.name == name }) {
      throw Wrong("there is no phase \(name); there are \(all.map(\.name).joined(separator: ", "))")
    }
    let needsLoad = all.contains { $0.needsRecords && names.contains($0.name) }
    return all.filter { names.contains($0.name) || needsLoad && $0.name == load.name }
  }
}
