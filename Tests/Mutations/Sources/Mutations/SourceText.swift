/// A file of the source, in which texts are looked for whatever their line breaks.
struct SourceText {
  private let bytes: [UInt8]

  init(_ text: String) { bytes = Array(text.utf8) }

  /// Where `text` is. White space in it stands for any white space, or none.
  func ranges(of text: String, from start: Int = 0) -> [Range<Int>] {
    let words = text.split(whereSeparator: \.isWhitespace).map { Array($0.utf8) }
    guard let first = words.first?.first else { return [] }
    return (start..<bytes.count).compactMap { offset in
      bytes[offset] == first ? end(of: words, at: offset).map { offset..<$0 } : nil
    }
  }

  private func end(of words: [[UInt8]], at offset: Int) -> Int? {
    var at = offset
    for (number, word) in words.enumerated() {
      while number > 0, at < bytes.count, Self.isWhite(bytes[at]) { at += 1 }
      guard bytes[at...].starts(with: word) else { return nil }
      at += word.count
    }
    return at
  }

  private static func isWhite(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0a || byte == 0x09 }

  subscript(range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  /// The one place an edit means, or why there is none.
  func place(of edit: Edit) throws(Mismatch) -> Range<Int> {
    guard let anchor = edit.anchor else {
      let found = ranges(of: edit.text)
      guard found.count == 1, let place = found.first else {
        throw Mismatch("`\(edit.text)` occurs \(found.count) times in \(edit.file)")
      }
      return place
    }
    let anchors = ranges(of: anchor)
    guard anchors.count == 1, let start = anchors.first?.upperBound else {
      throw Mismatch("`\(anchor)` occurs \(anchors.count) times in \(edit.file)")
    }
    guard let place = ranges(of: edit.text, from: start).first else {
      throw Mismatch("`\(edit.text)` does not follow `\(anchor)` in \(edit.file)")
    }
    return place
  }

  /// Which line an offset lies in, counted from 1.
  func line(of offset: Int) -> Int { bytes[..<offset].count { $0 == 0x0a } + 1 }

  /// The text with some ranges, which do not overlap, replaced.
  func replacing(_ changes: [Range<Int>: String]) -> String {
    var result: [UInt8] = []
    var at = 0
    for (range, text) in changes.sorted(by: { $0.key.lowerBound < $1.key.lowerBound }) {
      result += bytes[at..<range.lowerBound]
      result += Array(text.utf8)
      at = range.upperBound
    }
    return String(decoding: result + bytes[at...], as: UTF8.self)
  }
}

/// A mutation that no longer fits the source.
struct Mismatch: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
