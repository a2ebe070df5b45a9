public import Foundation
public import KVMap

extension Data: Store.ByteSource {
  /// Calls `body` with the data's bytes.
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try body(bytes)
  }
}

extension Data: Store.ByteDecodable {
  /// Copies the bytes.
  public init(copying bytes: RawSpan) throws(Store.Error) {
    self = unsafe bytes.withUnsafeBytes { unsafe Data($0) }
  }
}
