// The pictures of a report, as SVG within the page.

import KVMap

enum ReportPictures {
  // MARK: The map of the file

  /// A cell for each unit, or for several; in a cell the uses lie one upon the other.
  static func map(_ map: FileMap) -> String {
    let columns = map.cells.count <= 512 ? 32 : 64
    let pitch = 768 / columns
    let size = pitch - 1
    let left = 76
    let rows = (map.cells.count + columns - 1) / columns
    var paths = [String](repeating: "", count: FileMap.Use.allCases.count)
    for (index, cell) in map.cells.enumerated() {
      let (x, y) = (left + index % columns * pitch, index / columns * pitch)
      let whole = cell.reduce(0, +)
      guard whole > 0 else { continue }
      var bottom = 0.0
      for use in FileMap.Use.allCases where cell[use.rawValue] > 0 {
        let height = Double(size) * Double(cell[use.rawValue]) / Double(whole)
        let top = Double(y + size) - bottom - height
        paths[use.rawValue] += "M\(x) \(decimal(top))h\(size)v\(decimal(height))h-\(size)z"
        bottom += height
      }
    }
    var text = """
      <svg class="map" viewBox="0 0 \(left + 768) \(max(1, rows) * pitch)" role="img" \
      aria-label="What the file is used for, from its beginning to its end">

      """
    for (use, path) in zip(FileMap.Use.allCases, paths) where !path.isEmpty {
      text += "<path class=\"u-\(use)\" d=\"\(path)\"/>\n"
    }
    let step = max(1, (rows + 7) / 8)
    for row in stride(from: 0, to: rows, by: step) {
      let offset = row * columns * map.unitsPerCell * Store.UnitUse.unitBytes
      text += "<text x=\"\(left - 8)\" y=\"\(row * pitch + size / 2 + 4)\" text-anchor=\"end\">"
      text += "\(row == 0 ? "0" : Quantity.bytes(offset))</text>\n"
    }
    return text + "</svg>\n"
  }

  // MARK: Histograms

  struct Bar {
    var label: String
    var value: Int
    /// What is shown where the bar is pointed at.
    var note: String
  }

  /// Upright bars.
  static func histogram(_ bars: [Bar], name: String) -> String {
    let (width, height, top) = (520, 190, 18)
    let most = max(1, bars.map(\.value).max() ?? 1)
    let slot = width / max(1, bars.count)
    let step = max(1, (46 + slot - 1) / max(1, slot))
    var text =
      "<svg viewBox=\"0 0 \(width) \(height)\" role=\"img\" aria-label=\"\(HTMLText.escape(name))\">\n"
    let floor = height - 24
    for (index, bar) in bars.enumerated() {
      // A little must be visible too.
      let length = bar.value == 0 ? 0 : max(1.5, Double(floor - top) * Double(bar.value) / Double(most))
      let x = index * slot
      if bar.value > 0 {
        text +=
          "<rect class=\"bar\" x=\"\(x + 1)\" y=\"\(decimal(Double(floor) - length))\" width=\"\(max(1, slot - 2))\""
        text += " height=\"\(decimal(length))\"><title>\(HTMLText.escape(bar.note))</title></rect>\n"
      }
      if bar.value == most {
        text += "<text x=\"\(x + slot / 2)\" y=\"\(top - 5)\" text-anchor=\"\(anchor(x + slot / 2, width))\">"
        text += "\(HTMLText.escape(bar.note))</text>\n"
      }
      if index % step == 0 {
        text +=
          "<text x=\"\(x + slot / 2)\" y=\"\(height - 8)\" text-anchor=\"\(anchor(x + slot / 2, width, margin: 16))\">"
        text += "\(HTMLText.escape(bar.label))</text>\n"
      }
    }
    return text + "<path class=\"axis\" d=\"M0 \(floor)h\(width)\"/></svg>\n"
  }

  /// Keeps text within the picture.
  private static func anchor(_ x: Int, _ width: Int, margin: Int = 60) -> String {
    x < margin ? "start" : x > width - margin ? "end" : "middle"
  }

  // MARK: The treemap

  static func treemap(_ tree: PrefixTree) -> String {
    let whole = Treemap.Area(x: 0, y: 0, width: 1000, height: 460)
    var text =
      "<svg class=\"tree\" viewBox=\"0 0 1000 460\" role=\"img\" aria-label=\"Prefixes by what their keys take\">\n"
    let root = tree.root
    let boxes = root.children.map { ($0.prefix, $0.records, $0.bytes, $0) }
    let others = root.others
    let sizes = boxes.map { $0.2 } + [others.bytes]
    for (index, area) in Treemap(sizes, in: whole).areas.enumerated() where area.width > 0 {
      guard index < boxes.count else {
        text += box(area, "t-others", "other keys", others.records, others.bytes, root.bytes)
        continue
      }
      let (prefix, records, bytes, node) = boxes[index]
      let colour = "t-\(index % 8)"
      text += box(area, colour, name(prefix), records, bytes, root.bytes)
      if node.children.isEmpty || area.width < 60 || area.height < 50 { continue }
      let inner = area.inset(top: 22, other: 3)
      let parts = Treemap(node.children.map(\.bytes) + [node.others.bytes], in: inner).areas
      for (child, part) in zip(node.children, parts) where part.width > 2 && part.height > 2 {
        text += box(
          part, colour + " inner", name(child.prefix), label: name(child.prefix.dropFirst(prefix.count)),
          child.records, child.bytes, root.bytes)
      }
    }
    return text + "</svg>\n"
  }

  static func name(_ prefix: some Collection<UInt8>) -> String {
    HTMLText.key(prefix, of: prefix.count, longest: 60) + "…"
  }

  /// - Parameters:
  ///   - name: escaped text, all of it.
  ///   - label: escaped text, what is not said by the box around this one.
  private static func box(
    _ area: Treemap.Area, _ style: String, _ name: String, label: String? = nil, _ records: Int, _ bytes: Int,
    _ whole: Int
  ) -> String {
    let figures =
      "\(ReportPage.records(records)), \(Quantity.bytes(bytes)), \(HTMLText.escape(Quantity.share(bytes, of: whole)))"
    var text = """
      <svg x="\(decimal(area.x))" y="\(decimal(area.y))" width="\(decimal(area.width))" height="\(decimal(area.height))">\
      <title>\(name): \(figures)</title><rect class="\(style)" width="100%" height="100%"/>
      """
    if area.width > 26, area.height > 18 {
      text += "<text x=\"6\" y=\"15\">\(label ?? name)</text>"
      if style.hasSuffix("inner") || style == "t-others", area.height > 36, area.width > 60 {
        text += "<text class=\"soft\" x=\"6\" y=\"31\">\(Quantity.bytes(bytes))</text>"
      }
    }
    return text + "</svg>\n"
  }

  /// With one digit after the point.
  private static func decimal(_ number: Double) -> String {
    let tenths = Int((number * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
  }
}
