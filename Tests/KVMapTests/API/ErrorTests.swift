import Foundation
import KVMap
import KVMapFoundation
import TestSupport
import Testing

/// Errors and options as programs make and show them.
@Suite struct ErrorTests {
  /// Text, in whatever way a program shows an error.
  @Test func anErrorShowsItsMessage() throws {
    let scratch = try Scratch()
    let options = Store.Options(create: false)
    let error = try #require(throws: Store.Error.self) { try Store(scratch.path("none"), options: options) }
    #expect(error.code == .notFound)
    #expect(error.message.contains("none"))
    let anyError: any Error = error
    #expect("\(error)" == error.message)
    #expect("\(anyError)" == error.message)
    #expect(error.localizedDescription == error.message)
    #expect(anyError.localizedDescription == error.message)
    #expect((anyError as NSError).localizedDescription == error.message)
  }

  /// A type of the user's own fails with an error of the store.
  @Test func whatCannotBeDecoded() throws {
    let store = try Store.inMemory()
    try store.put([1, 2], forKey: "two")
    try store.put([1], forKey: "one")
    #expect(try store.get("one", as: OneByte.self)?.byte == 1)
    let error = try #require(throws: Store.Error.self) { try store.get("two", as: OneByte.self) }
    #expect(error.code == .damaged)
    #expect((error as any Error).localizedDescription == "store in memory: key 'two': 2 bytes are not one")
    #expect(error.holder == nil && error.cause == nil)
  }

  private struct OneByte: Store.ByteDecodable {
    let byte: UInt8

    init(copying bytes: RawSpan) throws(Store.Error) {
      guard bytes.byteCount == 1 else {
        throw Store.Error(.damaged, "\(bytes.byteCount) bytes are not one")
      }
      byte = unsafe bytes.unsafeLoad(as: UInt8.self)
    }
  }

  /// What is left out has its default, and what is given arrives where it belongs.
  @Test func options() {
    let defaults = Store.Options()
    #expect(defaults.access == .readWrite && defaults.create && defaults.durability == .none)
    #expect(defaults.checkpoints == .background && defaults.space == .standard && !defaults.exclusive)
    #expect(defaults.timeout == .seconds(10) && !defaults.allowNetworkFileSystem)
    #expect(defaults.mode == 0o644 && !defaults.warm && !defaults.pinned)
    let options = Store.Options(
      access: .scratch, create: false, durability: .onCommit, checkpoints: .inline, space: .compact,
      exclusive: true, timeout: .seconds(1), allowNetworkFileSystem: true, mode: 0o600, warm: true,
      pinned: true)
    #expect(options.access == .scratch && !options.create && options.durability == .onCommit)
    #expect(options.checkpoints == .inline && options.space == .compact && options.exclusive)
    #expect(options.timeout == .seconds(1) && options.allowNetworkFileSystem)
    #expect(options.mode == 0o600 && options.warm && options.pinned)
  }
}
