public import Foundation
public import KVMap
public import SystemPackage

extension URL: Store.Path {
  /// The path of a file URL. Another URL, or one whose path is not UTF-8, throws
  /// ``KVMap/Store/Error`` with `invalidPath`.
  public func storePath() throws(Store.Error) -> FilePath {
    let path = unsafe withUnsafeFileSystemRepresentation { unsafe $0.map(FilePath.init(platformString:)) }
    guard isFileURL, let path, !path.isEmpty else {
      throw Store.Error(
        .invalidPath,
        "\(absoluteString) names no file: give a file URL, as URL(filePath:) makes, or a FilePath")
    }
    return path
  }
}
