import Foundation

/// Runs the tests against one mutation after the other and prints what comes of it.
struct Report {
  let package: MutatedPackage
  let places: [String]
  /// How long each run takes when nothing is mutated.
  private var usual: [TestRun: Double] = [:]
  private var caught = 0
  private var explained = 0
  private var unexplained: [Int] = []
  /// Said to survive, but caught: the table is wrong.
  private var surprising: [Int] = []

  init(_ package: MutatedPackage, places: [String]) {
    self.package = package
    self.places = places
  }

  /// Throws unless the tests pass when nothing is mutated.
  mutating func checkUnchanged(_ numbers: [Int]) throws {
    var runs: [TestRun] = []
    for run in numbers.flatMap({ Mutation.all[$0 - 1].tests }) where !runs.contains(run) { runs.append(run) }
    for run in runs {
      let result = try package.test(run, mutation: 0, limit: 900)
      guard result.hasPassed else {
        throw Mismatch("without any mutation these tests fail: \(run.name)\n\(result.output.suffix(4_000))")
      }
      guard result.testCount > 0 else { throw Mismatch("there are no such tests: \(run.name)") }
      usual[run] = result.seconds
      show("unchanged: \(run.name) passes in \(seconds(result.seconds))")
    }
  }

  mutating func run(_ numbers: [Int]) throws {
    for number in numbers { try run(number) }
  }

  private mutating func run(_ number: Int) throws {
    let mutation = Mutation.all[number - 1]
    var total = 0.0
    var line = "\(number). not: \(mutation.what) (\(places[number - 1])): "
    for run in mutation.tests {
      // Tests of threads and processes take long where the machine is busy.
      let result = try package.test(run, mutation: number, limit: 30 + 6 * (usual[run] ?? 0))
      total += result.seconds
      if result.hasPassed { continue }
      let how =
        if result.isTimeout {
          "no end in"
        } else if let test = result.failedTest {
          "\(test) of"
        } else {
          "the end of"
        }
      line += "caught by \(how) \(run.filter) after \(seconds(total))"
      caught += 1
      if mutation.survives != nil {
        surprising.append(number)
        line += ", though it is said to survive"
      }
      return show(line)
    }
    line += "SURVIVED \(seconds(total)): "
    if let reason = mutation.survives {
      explained += 1
      line += reason
    } else {
      unexplained.append(number)
      line += "NOT EXPLAINED"
    }
    show(line)
  }

  /// Whether all is as it should be.
  func conclude() -> Bool {
    show(
      "\(caught + explained + unexplained.count) mutations: \(caught) caught, \(explained) survive and it is known "
        + "why, \(unexplained.count) survive without explanation")
    if !unexplained.isEmpty {
      show("without explanation: \(unexplained.map(String.init).joined(separator: ","))")
    }
    if !surprising.isEmpty {
      show("caught although said to survive: \(surprising.map(String.init).joined(separator: ","))")
    }
    return unexplained.isEmpty
  }

  private func seconds(_ number: Double) -> String { "\((number * 10).rounded() / 10) s" }

  private func show(_ line: String) {
    // At once, also into a file.
    FileHandle.standardOutput.write(Data("\(line)\n".utf8))
  }
}
