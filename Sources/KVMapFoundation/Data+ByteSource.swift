public import Foundation
public import KVMap

extension Data: ByteSource {
  /// Calls `body` with the data's bytes.
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try body(bytes)
  }
}

extension Data: ByteDecodable {
  /// Copies the bytes.
  public init(copying bytes: RawSpan) throws(StoreError) {
    self = unsafe bytes.withUnsafeBytes { unsafe Data($0) }
  }
}
