extension Store {
  /// When a put takes effect.
  public enum PutCondition: Sendable, Hashable {
    /// Always.
    case always
    /// Only if the key is absent.
    case absent
    /// Only if the key is present.
    case present
    /// Only if the key has the value of this version; see ``Store/entry(forKey:)``.
    case version(UInt64)
  }
}
