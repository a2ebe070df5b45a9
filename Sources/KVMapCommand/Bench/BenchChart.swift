// The chart of `kvmap bench`: a bar for each call, on a scale of powers of ten, light or dark as the viewer wants it.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct BenchChart {
  private let result: BenchResult

  init(_ result: BenchResult) { self.result = result }

  private static let width = 760
  private static let left = 205
  private static let right = 600
  private static let rowHeight = 26
  private static let top = 92

  /// The whole file.
  var text: String {
    let bottom = Self.top + result.measurements.count * Self.rowHeight + 14
    let height = bottom + (result.caveat == nil ? 46 : 64)
    var body = grid(to: bottom)
    for (index, measurement) in result.measurements.enumerated() {
      body += row(
        measurement, at: Self.top + index * Self.rowHeight + (measurement.subject == .machine ? 14 : 0))
    }
    let notes = [
      "Means of the middle round, medians of durable calls, on a logarithmic scale from 1 ns. kvmap \(Program.version).",
      result.caveat,
    ]
    .compactMap { $0 }
    for (index, note) in notes.enumerated() {
      body += "<text class=\"n\" x=\"20\" y=\"\(bottom + 30 + index * 18)\">\(note)</text>\n"
    }
    // Nothing of this text comes from a store.
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.width) \(height)" width="\(Self.width)" \
      height="\(height)" role="img" aria-label="What a call takes">
      <style>
      svg{--back:#fff;--ink:#1c2733;--soft:#5d6b7a;--line:#dde3ea;--bar:#2f6fb5;--floor:#9aa7b5;\
      font:13px system-ui,sans-serif}
      @media(prefers-color-scheme:dark){svg{--back:#14191f;--ink:#e4e9ef;--soft:#9aa7b5;--line:#2b333d;--bar:#6aa5e3;\
      --floor:#66727f}}
      .b{fill:var(--back)}text{fill:var(--ink)}.t{font-size:17px;font-weight:600}.n{fill:var(--soft);font-size:12px}\
      line{stroke:var(--line)}.store{fill:var(--bar)}.machine{fill:var(--floor)}.e{text-anchor:end}\
      .m{text-anchor:middle}
      </style>
      <rect class="b" width="\(Self.width)" height="\(height)"/>
      <text class="t" x="20" y="30">What a call takes</text>
      <text class="n" x="20" y="51">\(result.conditions)</text>
      \(body)</svg>

      """
  }

  /// The power of ten above all times.
  private var decades: Int {
    let most = result.measurements.map(\.nanoseconds).max() ?? 1
    var (decades, bound) = (3, 1000.0)
    while bound < most, decades < 15 {
      bound *= 10
      decades += 1
    }
    return decades
  }

  private func grid(to bottom: Int) -> String {
    var text = ""
    for decade in 0...decades {
      let x = Self.left + (Self.right - Self.left) * decade / decades
      var time = 1.0
      for _ in 0..<decade { time *= 10 }
      text += "<line x1=\"\(x)\" x2=\"\(x)\" y1=\"\(Self.top - 8)\" y2=\"\(bottom)\"/>"
      let label = Quantity.time(nanoseconds: time).replacing(".0", with: "")
      text += "<text class=\"n m\" x=\"\(x)\" y=\"\(Self.top - 14)\">\(label)</text>\n"
    }
    return text
  }

  private func row(_ measurement: Measurement, at y: Int) -> String {
    let length = max(
      2, Int(Double(Self.right - Self.left) * log10(max(1, measurement.nanoseconds)) / Double(decades)))
    let time = Quantity.time(nanoseconds: measurement.nanoseconds)
    return """
      <text class="e" x="\(Self.left - 10)" y="\(y + 14)">\(measurement.label)</text>\
      <rect class="\(measurement.subject.rawValue)" x="\(Self.left)" y="\(y + 2)" width="\(length)" height="16" rx="2">\
      <title>\(measurement.note)</title></rect>\
      <text x="\(Self.left + length + 8)" y="\(y + 14)">\(time)</text>

      """
  }
}
