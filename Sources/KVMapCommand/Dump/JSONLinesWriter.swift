/// Writes the JSON Lines dump that `JSONLinesReader` describes.
struct JSONLinesWriter: DumpWriter {
  private var output: ByteOutput
  private var count: UInt64 = 0

  init(_ output: ByteOutput) {
    self.output = output
  }

  mutating func begin() throws {
    try output.append("{\"kvmap\":1}\n")
  }

  mutating func write(_ record: DumpRecord) throws {
    try output.append("{")
    try output.appendJSONMember("key", record.key)
    try output.append(",")
    try output.appendJSONMember("value", record.value)
    if let expires = record.expires { try output.append(",\"expires\":\(expires)") }
    try output.append("}\n")
    count += 1
  }

  mutating func finish() throws {
    try output.append("{\"count\":\(count)}\n")
    try output.flush()
  }
}

extension ByteOutput {
  /// Appends `"name":"…"` where `bytes` are valid UTF-8, else `"name_b64":"…"`.
  mutating func appendJSONMember(_ name: String, _ bytes: [UInt8]) throws {
    try append("\"")
    try append(name)
    if String(validating: bytes, as: UTF8.self) != nil {
      try append("\":\"")
      try appendJSONText(bytes)
    } else {
      try append("_b64\":\"")
      try appendBase64(bytes)
    }
    try append("\"")
  }

  /// Appends valid UTF-8 with the escapes that JSON requires.
  private mutating func appendJSONText(_ text: [UInt8]) throws {
    var start = 0
    for (index, byte) in text.enumerated()
    where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
      try append(text[start..<index])
      start = index + 1
      switch byte {
      case UInt8(ascii: "\""): try append("\\\"")
      case UInt8(ascii: "\\"): try append("\\\\")
      case 0x08: try append("\\b")
      case 0x09: try append("\\t")
      case 0x0A: try append("\\n")
      case 0x0C: try append("\\f")
      case 0x0D: try append("\\r")
      default:
        try append(byte < 0x10 ? "\\u000" : "\\u001")
        try append("0123456789abcdef".utf8.dropFirst(Int(byte & 15)).prefix(1))
      }
    }
    try append(text[start...])
  }

  /// Appends Base64 without line breaks, encoding a piece at a time.
  mutating func appendBase64(_ bytes: [UInt8]) throws {
    // A multiple of three, so that only the last piece is padded.
    let pieceSize = 48 * 1024
    var encoded: [UInt8] = []
    var start = 0
    repeat {
      let end = min(bytes.count, start + pieceSize)
      encoded.removeAll(keepingCapacity: true)
      Base64.encode(bytes[start..<end], into: &encoded)
      try append(encoded)
      start = end
    } while start < bytes.count
  }
}
