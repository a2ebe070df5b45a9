import Foundation

/// Runs all contenders one after the other, each in a process of its own, for as many rounds as are
/// asked for.
enum Rounds {
  static func runAll(_ arguments: Arguments) throws {
    let types = try arguments.contenders.map { try $0.map(Contenders.named) } ?? Contenders.all
    let phases = try Phase.selected(arguments.only)
    var rounds: [[String: [String: Double]]] = []
    for round in 1...arguments.rounds {
      var figures: [String: [String: Double]] = [:]
      for type in types {
        Console.note("round \(round) of \(arguments.rounds): \(type.about.name)")
        figures[type.about.name] = try runProcess(type.about, arguments)
      }
      rounds.append(figures)
    }
    let isAsked = { (phase: Phase) in arguments.only?.contains(phase.name) ?? true }
    let report = Report(
      workload: arguments.workload, contenders: types.map { $0.about }, phases: phases.filter(isAsked),
      rounds: rounds)
    print(Table(report: report).text)
    if let path = arguments.json { try report.json.write(to: URL(fileURLWithPath: path)) }
    if let path = arguments.chart {
      try Data(Chart(report: report).text.utf8).write(to: URL(fileURLWithPath: path))
    }
  }

  private static func runProcess(_ about: About, _ arguments: Arguments) throws -> [String: Double] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = arguments.words(for: about.identifier)
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Wrong("\(about.name) failed") }
    return try JSONDecoder().decode([String: Double].self, from: data)
  }

  /// In the process of one contender.
  static func runOne(_ name: String, _ arguments: Arguments) throws {
    let directory = "\(arguments.directory)/kvmap-benchmark-\(ProcessInfo.processInfo.processIdentifier)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let trial = try Trial(try Contenders.named(name), arguments.workload, directory: directory)
    let figures = try trial.run(try Phase.selected(arguments.only))
    FileHandle.standardOutput.write(try JSONEncoder().encode(figures))
  }
}

enum Console {
  static func note(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
}
