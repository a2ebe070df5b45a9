// Text of a page. Keys and file names are untrusted: nothing of them may become a tag.

import KVMap

enum HTMLText {
  /// Text for elements and for attributes in double quotes.
  static func escape(_ text: some StringProtocol) -> String {
    var output = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": output += "&amp;"
      case "<": output += "&lt;"
      case ">": output += "&gt;"
      case "\"": output += "&quot;"
      case "'": output += "&#39;"
      case _ where scalar.properties.isNoncharacterCodePoint:
        output += "\\u{\(String(scalar.value, radix: 16))}"
      default: output.unicodeScalars.append(scalar)
      }
    }
    return output
  }

  /// A key's first bytes, readable; what is not text as `\xff`, and what is invisible too.
  static func key(_ bytes: some Collection<UInt8>, of count: Int, longest: Int) -> String {
    let shown = String(decoding: TerminalText.escape(Array(bytes.prefix(longest))), as: UTF8.self)
    return escape(shown) + (count > longest ? "…" : "")
  }
}
