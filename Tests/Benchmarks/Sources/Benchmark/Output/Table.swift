import Foundation

/// The figures as Markdown: the medians, the multiples of the yardstick's, and how each contender was used.
struct Table {
  let report: Report

  var text: String {
    let names = report.contenders.map(\.name)
    let figures = report.rows.map { row in
      ["\(row.title), \(row.unit.rawValue)"]
        + report.contenders.map { figure(report.median($0, row), row.unit) }
    }
    let ratios = report.rows.map { row in
      [row.title] + report.contenders.map { report.ratio($0, row).map { number($0, digits: 2) } ?? "" }
    }
    let notes = report.contenders.map { [$0.name, $0.version, $0.setup, $0.lacks] }
    return """
      \(report.headline)

      \(table([[""] + names] + figures, numbers: true))

      Multiples of \(report.yardstick.name)'s figures; less is better:

      \(table([[""] + names] + ratios, numbers: true))

      How each contender was used, and what it does not promise when used so:

      \(table([["", "version", "set up", "not promised"]] + notes, numbers: false))
      """
  }

  private func figure(_ value: Double?, _ unit: Row.Unit) -> String {
    guard let value else { return "" }
    return number(value, digits: unit == .perByte ? 2 : value < 10 ? 1 : 0)
  }

  private func number(_ value: Double, digits: Int) -> String {
    value.formatted(.number.precision(.fractionLength(digits)).grouping(.never))
  }

  /// The first row is the heading. Columns of numbers are aligned, so that the text can be read as it is.
  private func table(_ rows: [[String]], numbers: Bool) -> String {
    let widths = rows[0].indices.map { column in numbers ? rows.map { $0[column].count }.max() ?? 0 : 0 }
    func line(_ cells: [String]) -> String {
      let cells = cells.enumerated().map { column, cell in
        let padding = String(repeating: " ", count: max(0, widths[column] - cell.count))
        return column == 0 ? cell + padding : padding + cell
      }
      return "| " + cells.joined(separator: " | ") + " |"
    }
    let rule = widths.indices.map { $0 > 0 && numbers ? "---:" : "---" }
    return ([line(rows[0]), "|" + rule.joined(separator: "|") + "|"] + rows.dropFirst().map(line))
      .joined(separator: "\n")
  }
}
