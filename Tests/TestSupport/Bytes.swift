package func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

extension RawSpan {
  package var array: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}
