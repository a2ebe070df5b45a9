import Foundation

/// Horizontal bars on a logarithmic scale: each time as a multiple of the yardstick's, grouped by rows.
///
/// Grey and the colours are of medium brightness, and there is no background: so it suits light and
/// dark pages.
struct Chart {
  let report: Report

  private static let labelWidth = 210.0
  private static let plotWidth = 560.0
  private static let noteWidth = 60.0
  private static let barHeight = 11.0
  private static let groupGap = 12.0
  private static let top = 64.0
  private static let grey = "#808890"
  private static let colours = [
    "#3b8eea", "#d9822b", "#2fa36b", "#c9504c", "#9a6dd7", "#b08a2e", "#d264a5", "#4aa3b5", "#7f8c4d",
  ]

  /// Contenders with bars: the yardstick is the line at 1.
  private var others: [About] { report.contenders.filter { $0.name != report.yardstick.name } }
  private var rows: [Row] {
    report.rows.filter { row in row.unit.isTime && others.contains { report.ratio($0, row) != nil } }
  }

  var text: String {
    var body = ""
    var y = Self.top
    for row in rows {
      let bars = others.enumerated().compactMap { number, contender in
        report.ratio(contender, row).map { (number, $0) }
      }
      let height = Double(bars.count) * Self.barHeight
      body += label(row.title, x: Self.labelWidth - 8, y: y + height / 2 + 4, anchor: "end")
      for (number, ratio) in bars {
        body += bar(ratio, colour: Self.colours[number % Self.colours.count], y: y)
        y += Self.barHeight
      }
      y += Self.groupGap
    }
    let (width, height) = (Self.labelWidth + Self.plotWidth + Self.noteWidth, y + 8)
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(text(width)) \(text(height))" \
      font-family="system-ui, sans-serif" font-size="11">
      \(label("Multiples of \(report.yardstick.name)'s times; less is better. \(report.headline)", x: 8, y: 18))\
      \(legend)\(scale(bottom: y))\(body)</svg>

      """
  }

  // MARK: Parts

  /// From the smallest to the largest power of two that is needed.
  private var range: ClosedRange<Double> {
    let logs = rows.flatMap { row in others.compactMap { report.ratio($0, row) } }.map(log2)
    return min(-1, (logs.min() ?? 0).rounded(.down))...max(1, (logs.max() ?? 0).rounded(.up))
  }

  private func position(_ ratio: Double) -> Double {
    let range = range
    let share = (log2(ratio) - range.lowerBound) / (range.upperBound - range.lowerBound)
    return Self.labelWidth + share * Self.plotWidth
  }

  private func bar(_ ratio: Double, colour: String, y: Double) -> String {
    let (one, end) = (position(1), position(ratio))
    let box = """
      <rect x="\(text(min(one, end)))" y="\(text(y + 1))" width="\(text(max(1, abs(end - one))))" \
      height="\(text(Self.barHeight - 2))" fill="\(colour)"/>

      """
    let figure = ratio.formatted(.number.precision(.significantDigits(2...2)).grouping(.never))
    return box + label(figure, x: max(one, end) + 4, y: y + Self.barHeight - 2, size: 9)
  }

  private func scale(bottom: Double) -> String {
    let range = range
    return stride(from: range.lowerBound, through: range.upperBound, by: 1).map { exponent in
      let x = position(exp2(exponent))
      let name = exponent < 0 ? "1/\(Int(exp2(-exponent)))" : "\(Int(exp2(exponent)))"
      return """
        <line x1="\(text(x))" x2="\(text(x))" y1="\(text(Self.top - 6))" y2="\(text(bottom))" \
        stroke="\(Self.grey)" stroke-width="\(exponent == 0 ? "1.5" : "0.3")"/>

        """ + label(name, x: x, y: Self.top - 10, anchor: "middle", size: 9)
    }.joined()
  }

  private var legend: String {
    var x = 8.0
    return others.enumerated().map { number, contender in
      defer { x += 26 + 6.5 * Double(contender.name.count) }
      let colour = Self.colours[number % Self.colours.count]
      return """
        <rect x="\(text(x))" y="27" width="9" height="9" fill="\(colour)"/>

        """ + label(contender.name, x: x + 13, y: 35)
    }.joined()
  }

  private func label(
    _ words: String, x: Double, y: Double, anchor: String = "start", size: Int = 11
  ) -> String {
    """
    <text x="\(text(x))" y="\(text(y))" font-size="\(size)" text-anchor="\(anchor)" \
    fill="\(Self.grey)">\(words)</text>

    """
  }

  private func text(_ number: Double) -> String {
    number.formatted(.number.precision(.fractionLength(0...1)).grouping(.never))
  }
}
