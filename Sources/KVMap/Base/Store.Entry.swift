extension Store {
  /// A key, its value and what goes with them.
  public struct Entry: Sendable, Equatable {
    /// The key's bytes.
    public let key: [UInt8]
    /// The value's bytes.
    public let value: [UInt8]
    /// The value's version, which rises with every put of the store.
    public let version: UInt64
    /// When the value expires.
    public let expiry: Store.Expiry
  }
}
