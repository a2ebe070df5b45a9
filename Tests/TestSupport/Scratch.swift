import Foundation
package import SystemPackage

/// A directory of its own for one test, removed with everything in it.
package final class Scratch: Sendable {
  package let directory: FilePath
  private let isOwner: Bool

  /// - Parameter parent: where to make it; the host's directory for temporary files if nil.
  package init(in parent: FilePath? = nil) throws {
    directory = (parent ?? Self.temporary).appending("kvmap-\(UUID().uuidString)")
    isOwner = true
    try FileManager.default.createDirectory(atPath: directory.string, withIntermediateDirectories: false)
  }

  /// A directory that someone else removes.
  package init(existing directory: FilePath) {
    self.directory = directory
    isOwner = false
  }

  deinit { if isOwner { try? FileManager.default.removeItem(atPath: directory.string) } }

  /// The host's directory for temporary files.
  package static var temporary: FilePath { FilePath(FileManager.default.temporaryDirectory.path) }

  /// A directory in memory, where syncs take no time; `temporary` where there is none.
  package static var memory: FilePath {
    FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : temporary
  }

  /// A directory in memory where the system has one.
  package static func inMemory() throws -> Scratch { try Scratch(in: memory) }

  package func path(_ name: String) -> FilePath { directory.appending(name) }

  /// The names of all files, hidden ones included, sorted.
  package var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: directory.string).sorted() }
  }
}
