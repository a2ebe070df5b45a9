import Foundation

/// The figures as text, and how many times gdbm's they are.
struct Table {
  let contenders: [String]
  let figures: [String: [Figure: Double]]

  private static let labelColumns = 34
  private static let columns = 15

  func write(count: Int, rounds: Int) {
    print(
      "\(count) records of \(Workload.keyBytes) + \(Workload.valueBytes) bytes, median of \(rounds) rounds\n")
    writeRow("", contenders)
    for figure in Figure.allCases {
      writeRow(
        "\(figure.rawValue), \(figure.unit.rawValue)", contenders.map { text(figures[$0]?[figure], figure) })
    }
    print("\ntimes gdbm's (less is better)\n")
    writeRow("", contenders)
    for figure in Figure.allCases {
      guard let gdbm = figures[GDBMContender.name]?[figure], gdbm > 0 else { continue }
      writeRow(figure.rawValue, contenders.map { ratio(figures[$0]?[figure], to: gdbm) })
    }
  }

  private func text(_ value: Double?, _ figure: Figure) -> String {
    guard let value else { return "-" }
    return number(value, digits: figure.unit == .perByte ? 2 : value < 10 ? 1 : 0)
  }

  private func ratio(_ value: Double?, to gdbm: Double) -> String {
    value.map { number($0 / gdbm, digits: 2) } ?? "-"
  }

  private func number(_ value: Double, digits: Int) -> String {
    value.formatted(.number.precision(.fractionLength(digits)).grouping(.never))
  }

  private func writeRow(_ label: String, _ cells: [String]) {
    var line = label + padding(Self.labelColumns - label.count)
    for cell in cells { line += padding(Self.columns - cell.count) + cell }
    print(line)
  }

  private func padding(_ count: Int) -> String { String(repeating: " ", count: max(1, count)) }
}
