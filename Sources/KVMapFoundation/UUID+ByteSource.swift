public import Foundation
public import KVMap

extension UUID: Store.ByteSource {
  /// Calls `body` with the canonical text, in upper case.
  public func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try uuidString.withBytes(body)
  }
}

extension UUID: Store.ByteDecodable {
  /// Reads the canonical text, in upper or lower case; throws `invalidValue` for all else.
  public init(copying bytes: RawSpan) throws(Store.Error) {
    guard let text = try? String(copying: bytes), let value = UUID(uuidString: text) else {
      throw Store.Error(.invalidValue, "the value (\(bytes.byteCount) bytes) is not the text of a UUID")
    }
    self = value
  }
}
