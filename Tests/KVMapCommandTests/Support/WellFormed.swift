import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// Expects `text` to be well-formed XML: whatever a key contains has become neither a tag nor half of one.
func expectWellFormed(_ text: [UInt8]) {
  let parser = XMLParser(data: Data(text))
  #expect(parser.parse(), "line \(parser.lineNumber): \(String(describing: parser.parserError))")
}
