import KVMap

/// The page of `kvmap report`: complete in itself, without scripts, and well-formed XML.
struct ReportPage {
  let survey: Survey
  /// The store's file name.
  let store: String
  /// When it was made, for people.
  let time: String

  var statistics: Store.Statistics { survey.statistics }

  /// The whole file.
  var text: String {
    let title = HTMLText.escape(
      String(decoding: TerminalText.escape(Array(store.utf8)), as: UTF8.self))
    // Nothing may be fetched or run, even if a key should find a way out of its element.
    return """
      <!DOCTYPE html>
      <html lang="en" xmlns="http://www.w3.org/1999/xhtml">
      <head>
      <meta charset="utf-8"/>
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
      <meta name="viewport" content="width=device-width, initial-scale=1"/>
      <meta name="color-scheme" content="light dark"/>
      <title>\(title)</title>
      <style>
      \(Self.style)</style>
      </head>
      <body>
      <main>
      <header><h1><bdi>\(title)</bdi></h1>
      \(totals)</header>
      \(tiles)\(fileMap)\(heldBack)\(records)
      \(largest)\(prefixes)<footer>\(time), by kvmap \(Program.version). Figures were counted one after the other, while others may have \
      been writing. Expired records count in what the file holds until they are reclaimed, and nowhere else.</footer>
      </main>
      </body>
      </html>

      """
  }

  // MARK: In words

  private var totals: String {
    let health = Health(statistics)
    let state = health.isGood ? "healthy" : "needs attention"
    let remarks = HTMLText.escape(health.remarks.joined(separator: "; "))
    var text =
      "<p><span class=\"state \(health.isGood ? "good" : "bad")\">\(state)</span>: \(remarks).</p>\n<p>"
    if survey.records == 0 {
      text += "The store is empty."
    } else {
      let (keys, values) = (survey.keyBytes / survey.records, survey.valueBytes / survey.records)
      text += "\(Quantity.count(survey.records)) \(survey.records == 1 ? "record" : "records") with "
      text +=
        "\(Quantity.bytes(survey.keyBytes)) of keys and \(Quantity.bytes(survey.valueBytes)) of values: "
      text += "\(Quantity.bytes(keys)) and \(Quantity.bytes(values)) on average."
    }
    text += " The file is \(Quantity.bytes(statistics.fileBytes)) long and takes "
    text += "\(Quantity.bytes(statistics.allocatedBytes)) of disk"
    if let pages = statistics.residentPages, pages > 0 {
      text += "; \(Quantity.count(pages)) pages of it are in memory"
    }
    text += ".</p>\n"
    if survey.damaged > 0 {
      text +=
        "<p class=\"state bad\">Records and pages of the index that cannot be read, and are missing here: "
      text += "\(survey.damaged). 'kvmap verify' says where.</p>\n"
    }
    return text
  }

  private var tiles: String {
    let all: [(String, String)] = [
      (Quantity.count(survey.records), survey.records == 1 ? "record" : "records"),
      (Quantity.bytes(statistics.liveBytes), "live, with headers"),
      (
        Quantity.bytes(statistics.indexBytes),
        "index, \(Self.share(statistics.indexBytes, of: statistics.usedBytes))"
      ),
      (
        Quantity.bytes(statistics.garbageBytes),
        "garbage, \(Self.share(statistics.garbageBytes, of: statistics.usedBytes))"
      ),
      (
        Quantity.bytes(statistics.freeBytes),
        "free, \(Self.share(statistics.freeBytes, of: statistics.usedBytes))"
      ),
      (Quantity.bytes(statistics.allocatedBytes), "of disk"),
    ]
    return
      "<div class=\"tiles\">\(all.map { "<div class=\"tile\"><b>\($0)</b><span>\($1)</span></div>" }.joined())</div>\n"
  }

  // MARK: Sections

  private var records: String {
    if survey.records == 0 { return index }
    return "<div class=\"two\"><div>\(sizes)\(index)</div><div>\(times)</div></div>\n"
  }

  func section(_ title: String, _ explanation: String, _ body: String) -> String {
    "<section><h2>\(title)</h2><p class=\"note\">\(explanation)</p>\n\(body)</section>\n"
  }

  private var fileMap: String {
    let map = survey.map
    let whole = map.total.reduce(0, +)
    let cell = Quantity.bytes(map.unitsPerCell * Store.UnitUse.unitBytes)
    var legend = ""
    for use in FileMap.Use.allCases where map.total[use.rawValue] > 0 {
      let bytes = map.total[use.rawValue]
      legend +=
        "<li><svg viewBox=\"0 0 12 12\"><rect class=\"u-\(use)\" width=\"12\" height=\"12\" rx=\"2\"/></svg>"
      legend += "\(use.label): \(Quantity.bytes(bytes)), \(Self.share(bytes, of: whole))</li>"
    }
    return section(
      "Map of the file",
      "From its beginning, row by row; each square is \(cell). What is in a square lies one upon the other, by size.",
      ReportPictures.map(map) + "<ul class=\"legend\">\(legend)</ul>\n")
  }

  /// What keeps the file from being smaller.
  private var heldBack: String {
    let statistics = statistics
    var remarks: [String] = []
    func add(_ bytes: Int, _ text: String) {
      if bytes > 0 { remarks.append("<li><b>\(Quantity.bytes(bytes))</b> \(text)</li>") }
    }
    add(
      statistics.garbageBytes,
      "of garbage, records that were overwritten, removed or moved: writing compacts it; 'kvmap compact' does so at once."
    )
    let reader =
      statistics.oldestPinHolder.map { "process \($0), which reads or has a snapshot" } ?? "a reader"
    add(statistics.freeAwaitingPinBytes, "are free and used again when \(reader) ends.")
    add(statistics.freeAwaitingCheckpointBytes, "are free and used again after the next checkpoint.")
    add(
      statistics.freeStoredBytes - statistics.freeAwaitingPinBytes - statistics.freeAwaitingCheckpointBytes,
      "are free, take disk and are used by what is written next.")
    add(
      statistics.roomBytes, "are reserved: the rest of segments, of units of the index and of large values.")
    add(
      statistics.expiringBytes,
      "of live records have a time of expiry; they become garbage when it has passed.")
    add(
      statistics.logSinceCheckpoint,
      "of log since the last checkpoint would be read by opening after a crash.")
    let writer =
      statistics.writer.map { "Process \($0) has the write lock." } ?? "No process has the write lock."
    let list = remarks.isEmpty ? "<p>Nothing.</p>" : "<ul>\(remarks.joined())</ul>"
    return section("What holds space", writer, list + "\n")
  }

  private var index: String {
    let bins = statistics.fillHistogram
    let bars = bins.indices.map { bin in
      ReportPictures.Bar(
        label: "\(bin * 100 / bins.count) %", value: bins[bin],
        note: "\(Quantity.count(bins[bin])) \(bins[bin] == 1 ? "bucket" : "buckets")")
    }
    var text =
      "\(Quantity.count(statistics.bucketPages)) \(statistics.bucketPages == 1 ? "page" : "pages") of buckets under "
    text += "\(counted(statistics.directoryHeight, "level")) of directory. "
    text +=
      "Buckets by the share of their slots that is in use; they split when full, so most are half to nearly full."
    if statistics.overflowPages > 0 {
      text += " \(counted(statistics.overflowPages, "page")) of overflow: keys of equal hashes."
    }
    return section("Fill of the index", text, ReportPictures.histogram(bars, name: "Fill of buckets"))
  }

  private var sizes: String {
    section(
      "Lengths of keys and values", "In powers of two: the bar at 64 is of 64 to 127 bytes.",
      "<h3 class=\"soft\">keys, by their number</h3>\n"
        + histogram(survey.keySizes, name: "Lengths of keys", Self.records)
        + "<h3 class=\"soft\">values, by their number</h3>\n"
        + histogram(survey.valueSizes, name: "Lengths of values", Self.records)
        + "<h3 class=\"soft\">values, by their bytes together</h3>\n"
        + histogram(survey.valueBytesBySize, name: "Bytes of values", Quantity.bytes))
  }

  /// "< 1 %" is no tag.
  private static func share(_ part: Int, of whole: Int) -> String {
    HTMLText.escape(Quantity.share(part, of: whole))
  }

  static func records(_ number: Int) -> String {
    "\(Quantity.count(number)) \(number == 1 ? "record" : "records")"
  }

  private func histogram(_ classes: [Int], name: String, _ words: (Int) -> String) -> String {
    guard let first = classes.firstIndex(where: { $0 > 0 }), let last = classes.lastIndex(where: { $0 > 0 })
    else {
      return "<p class=\"soft\">none</p>\n"
    }
    // A single bar would say nothing of how far apart lengths are.
    let shown = max(0, first - 2)...min(classes.count - 1, last + 2)
    let bars = shown.map { number in
      ReportPictures.Bar(
        label: number == 0
          ? "0"
          : number <= 10
            ? "\(1 << (number - 1))" : Quantity.bytes(1 << (number - 1)).replacing(".0", with: ""),
        value: classes[number], note: words(classes[number]))
    }
    return ReportPictures.histogram(bars, name: name)
  }

  private var times: String {
    section(
      "Expiry", "When records expire, from the time of this report on.",
      table(survey.expiries.classes, title: "expires"))
      + section(
        "Age",
        "When the handle was opened that put a value, which its version tells: the value may be younger.",
        table(survey.ages.classes.reversed(), title: "opened"))
  }

  private func table(_ all: [TimeClasses.Class], title: String) -> String {
    let most = max(1, all.map(\.records).max() ?? 1)
    var text =
      "<table><tr><th>\(title)</th><th class=\"n\">records</th><th class=\"n\">bytes</th><th></th></tr>\n"
    for one in all where !one.label.isEmpty {
      text += "<tr><td>\(HTMLText.escape(one.label))</td><td class=\"n\">\(Quantity.count(one.records))</td>"
      text += "<td class=\"n\">\(Quantity.bytes(one.bytes))</td>\(gauge(one.records, of: most))</tr>\n"
    }
    return text + "</table>\n"
  }

  /// A bar in a table.
  private func gauge(_ part: Int, of whole: Int) -> String {
    let width = part == 0 ? 0 : max(1, Int(Double(part) / Double(max(1, whole)) * 200))
    let bar = "<rect class=\"bar\" width=\"\(width)\" height=\"12\" rx=\"2\"/>"
    return "<td class=\"g\"><svg viewBox=\"0 0 200 12\" preserveAspectRatio=\"none\">\(bar)</svg></td>"
  }

  private var largest: String {
    let items = survey.largest.items
    guard let most = items.first?.valueLength else { return "" }
    var text =
      "<table><tr><th>key</th><th class=\"n\">value</th><th class=\"n\">of all values</th><th></th></tr>\n"
    for item in items {
      let key = HTMLText.key(item.key, of: item.keyLength, longest: 100)
      text += "<tr><td class=\"k\"><bdi>\(key.isEmpty ? "<i>empty</i>" : key)</bdi></td>"
      text += "<td class=\"n\">\(Quantity.bytes(item.valueLength))</td>"
      text += "<td class=\"n\">\(Self.share(item.valueLength, of: survey.valueBytes))</td>"
      text += gauge(item.valueLength, of: most) + "</tr>\n"
    }
    return section(
      "Largest values", "The \(items.count) largest, of \(Self.records(survey.records)).", text + "</table>\n"
    )
  }

  private var prefixes: String {
    let root = survey.prefixes.root
    guard root.records > 0 else { return "" }
    var rows = ""
    func add(_ node: PrefixTree.Node, depth: Int) {
      let indent = String(repeating: "&#160;", count: depth * 4)
      rows += "<tr><td class=\"k\">\(indent)<bdi>\(ReportPictures.name(node.prefix))</bdi></td>"
      rows +=
        "<td class=\"n\">\(Quantity.count(node.records))</td><td class=\"n\">\(Quantity.bytes(node.bytes))</td>"
      rows += gauge(node.bytes, of: root.bytes) + "</tr>\n"
      for child in node.children { add(child, depth: depth + 1) }
    }
    for node in root.children { add(node, depth: 0) }
    let table =
      "<table><tr><th>keys that begin with</th><th class=\"n\">records</th><th class=\"n\">bytes</th><th></th></tr>\n"
    return section(
      "Prefixes",
      "By the space that keys with a prefix take, with their values. Prefixes that few keys have are among the others.",
      ReportPictures.treemap(survey.prefixes)
        + "<details><summary>as a table</summary>\(table)\(rows)</table></details>\n")
  }
}
