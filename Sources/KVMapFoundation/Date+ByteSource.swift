public import Foundation
public import KVMap

extension Date: Store.ByteSource {
  /// Calls `body` with the text of `timeIntervalSinceReferenceDate`, as that of a `Double`: seconds
  /// since the beginning of 2001 in UTC. It gives exactly the same date back.
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try timeIntervalSinceReferenceDate.withBytes(body)
  }
}

extension Date: Store.ByteDecodable {
  /// Reads such a text; throws `notANumber` for all else.
  public init(copying bytes: RawSpan) throws(Store.Error) {
    self.init(timeIntervalSinceReferenceDate: try Double(copying: bytes))
  }
}
