import Foundation

/// Each contender in a process of its own, in turn, as often as was asked for.
enum Rounds {
  private static let contenders = [
    SharedStore.name, ExclusiveStore.name, GDBMContender.name, DictionaryContender.name,
  ]

  static func runAll(_ arguments: Arguments) throws {
    var results: [String: [[Figure: Double]]] = [:]
    for round in 1...arguments.rounds {
      for name in contenders {
        Console.note("round \(round) of \(arguments.rounds): \(name)")
        results[name, default: []].append(try runProcess(name, arguments))
      }
    }
    let medians = results.mapValues { rounds in
      Dictionary(
        uniqueKeysWithValues: Figure.allCases.compactMap { figure in
          let values = rounds.compactMap { $0[figure] }
          return values.isEmpty ? nil : (figure, values.median)
        })
    }
    Table(contenders: contenders, figures: medians).write(count: arguments.count, rounds: arguments.rounds)
  }

  private static func runProcess(_ name: String, _ arguments: Arguments) throws -> [Figure: Double] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = arguments.words + ["--contender", name]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Wrong("\(name) failed") }
    var figures: [Figure: Double] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: "\t")
      if parts.count == 2, let figure = Figure(rawValue: String(parts[0])) {
        figures[figure] = Double(parts[1])
      }
    }
    return figures
  }

  /// In the process of one contender.
  static func runOne(_ name: String, _ arguments: Arguments) throws {
    let directory = "\(arguments.directory)/kvmap-benchmark-\(ProcessInfo.processInfo.processIdentifier)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let workload = Workload(count: arguments.count)
    let figures =
      switch name {
      case SharedStore.name: try run(SharedStore.self, workload, directory)
      case ExclusiveStore.name: try run(ExclusiveStore.self, workload, directory)
      case GDBMContender.name: try run(GDBMContender.self, workload, directory)
      case DictionaryContender.name: try run(DictionaryContender.self, workload, directory)
      default: throw Arguments.Usage()
      }
    for (figure, value) in figures { print("\(figure.rawValue)\t\(value)") }
  }

  private static func run<C: Contender>(
    _ type: C.Type, _ workload: Workload, _ directory: String
  ) throws -> [Figure: Double] {
    var trial = Trial<C>(workload, directory: directory)
    try trial.run()
    return trial.figures
  }
}

enum Console {
  static func note(_ text: String) { FileHandle.standardError.write(Data("\(text)\n".utf8)) }
}
