public import SystemPackage

extension Store {
  /// A type that can say where a store is: `String`, `FilePath`; with the module `KVMapFoundation`
  /// also `URL`.
  public protocol Path {
    /// The path of the file. Throws ``Store/Error`` with `invalidPath` if there is none.
    func storePath() throws(Store.Error) -> FilePath
  }
}

extension FilePath: Store.Path {
  /// The path itself.
  public func storePath() -> FilePath { self }
}

extension String: Store.Path {
  /// The text as a path.
  public func storePath() -> FilePath { FilePath(self) }
}
