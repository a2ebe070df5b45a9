import SystemPackage
import Testing

/// Real data: the code points of Unicode and their names.
enum UnicodeNames {
  /// Keys and values of the fixture, in its order.
  static let pairs: [(key: [UInt8], value: [UInt8])] = {
    guard let bytes = try? contents(Fixtures.folder.appending("unicode-names.tsv")) else { return [] }
    return bytes.split(separator: UInt8(ascii: "\n")).map { line in
      let fields = line.split(separator: UInt8(ascii: "\t"), maxSplits: 1, omittingEmptySubsequences: false)
      return (Array(fields[0]), fields.count > 1 ? Array(fields[1]) : [])
    }
  }()

  static let dictionary: [[UInt8]: [UInt8]] =
    .init(pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
}

/// Where the data for tests is.
enum Fixtures {
  static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent()
    .removingLastComponent().removingLastComponent().appending("Fixtures")
  static let stores = folder.appending("stores")
  static let dumps = folder.appending("gdbm")
}
