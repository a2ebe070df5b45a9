import Foundation
import KVMap
import KVMapFoundation
import SystemPackage
import TestSupport
import Testing

/// A store's path can be text, a `FilePath` or a URL, wherever one is given.
@Suite struct PathTests {
  @Test func paths() throws {
    let scratch = try Scratch()
    try checkEveryCall { scratch.path($0) }
  }

  @Test func text() throws {
    let scratch = try Scratch()
    try checkEveryCall { scratch.path($0).string }
  }

  @Test func urls() throws {
    let scratch = try Scratch()
    try checkEveryCall { URL(filePath: scratch.path($0).string) }
  }

  @Test func severalKindsInOneCall() throws {
    let scratch = try Scratch()
    let old = scratch.path("old")
    try Store(old).close()
    let report = try Store.salvage(from: old, into: URL(filePath: scratch.path("new").string))
    #expect(report.isComplete)
    #expect(try Store.verify(scratch.path("new").string).isSound)
  }

  @Test(arguments: [
    "https://example.org/store.kvmap", "store.kvmap", "data:,store", "file://", "file:///%ff",
  ])
  func urlsOfNoFile(text: String) throws {
    let scratch = try Scratch()
    let url = try #require(URL(string: text))
    let store = try Store.inMemory()
    let calls: [() throws -> Void] = [
      { _ = try Store(url) },
      { _ = try Store(path: url) },
      { try Store.create(at: url) { _ in } },
      { try store.backup(to: url) },
      { _ = try Store.salvage(from: url, into: scratch.path("new")) },
      { _ = try Store.salvage(from: scratch.path("old"), into: url) },
      { _ = try Store.verify(url) },
    ]
    for call in calls {
      let error = try #require(throws: Store.Error.self) { try call() }
      #expect(error.code == .invalidPath)
      #expect(error.message.contains(text))
    }
    #expect(try scratch.names == [])
  }

  private func checkEveryCall(_ path: (String) -> some Store.Path) throws {
    let name = "a store, 100% größer"
    try Store.create(at: path(name)) { try $0.put("value", forKey: "key") }
    let store = try Store(path(name), options: Store.Options(create: false))
    try store.backup(to: path("copy"))
    try store.close()
    #expect(try Store.verify(path(name)).recordCount == 1)
    #expect(try Store.salvage(from: path(name), into: path("salvaged")).recordCount == 1)
    for name in [name, "copy", "salvaged"] {
      let store = try Store(path: path(name), options: Store.Options(access: .readOnly))
      #expect(try store.get("key", as: String.self) == "value", "\(name)")
    }
  }
}
