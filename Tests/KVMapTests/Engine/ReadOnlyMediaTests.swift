import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Stores on a file system that is mounted read-only.
struct ReadOnlyMediaTests {
  private static func fill(_ path: String, andCopyTo copy: String) throws {
    let store = try Store(path: path)
    for number in 0..<500 { try store.put("\(number)", forKey: "key \(number)") }
    try store.checkpoint()
    for number in 500..<700 { try store.put("\(number)", forKey: "key \(number)") }
    try FileManager.default.copyItem(atPath: path, toPath: copy)
    try store.close()
  }

  /// One store was closed. The other was not: its log is replayed in memory.
  @Test(.enabled(if: SmallDisk.canMount), arguments: [SmallDisk.Kind.tmpfs, .ext4])
  func storesAreReadAndNothingIsCreated(kind: SmallDisk.Kind) throws {
    let disk = try SmallDisk(kind, megabytes: 16)
    let closed = disk.directory.appending("closed").string
    let crashed = disk.directory.appending("crashed").string
    try Self.fill(closed, andCopyTo: crashed)
    try #require(disk.makeReadOnly())
    let names = try disk.names
    for path in [closed, crashed] {
      let before = try Data(contentsOf: URL(fileURLWithPath: path))
      var options = Store.Options(access: .readOnly)
      let reader = try Store(path: path, options: options)
      #expect(try reader.count == 700)
      for number in 0..<700 {
        #expect(try reader.get("key \(number)", as: String.self) == "\(number)")
      }
      let snapshot = try reader.snapshot()
      #expect(try snapshot.get("key 3") == bytes("3"))
      #expect(try reader.verify().isSound)
      #expect(code { try reader.put("x", forKey: "key") } == .readOnly)
      snapshot.end()
      try reader.close()
      options.access = .scratch
      let view = try Store(path: path, options: options)
      #expect(try view.put("x", forKey: "key 3") && view.count == 700)
      try view.close()
      #expect(code { try Store(path: path) } != nil)
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    }
    #expect(code { try Store(path: disk.directory.appending("new").string) } != nil)
    #expect(try disk.names == names)
  }
}
