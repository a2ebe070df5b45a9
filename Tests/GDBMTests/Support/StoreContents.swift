import KVMap

extension Store {
  /// All keys and values by `forEach`. A key that comes twice is an error.
  func contents() throws -> [[UInt8]: [UInt8]] {
    var records: [[UInt8]: [UInt8]] = [:]
    try forEach { key, value in
      let (key, value) = (try [UInt8](copying: key), try [UInt8](copying: value))
      guard records.updateValue(value, forKey: key) == nil else {
        throw Disagreement("forEach gives \(show(key)) twice")
      }
    }
    guard try count == records.count else {
      throw Disagreement("the count is \(try count), forEach gives \(records.count) records")
    }
    return records
  }
}
