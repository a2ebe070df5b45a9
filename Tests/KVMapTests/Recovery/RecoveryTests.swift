import Foundation
import MappedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Stores that were not closed.
@Suite(.timeLimit(.minutes(5)))
struct RecoveryTests {
  /// Copies the file at each system call, as if the process had been killed there: in the middle
  /// of puts, growth, checkpoints and new segments. In a process of its own, since it watches
  /// all system calls.
  @Test func theFileIsAPrefixAtEachSystemCall() async throws {
    let seed = testSeed("theFileIsAPrefixAtEachSystemCall")
    await #expect(processExitsWith: .success) { [seed = seed as UInt64] in
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        let camera = Camera(scratch)
        var model = Operation.Contents()
        var generator = SeededGenerator(seed: seed)
        var pictures = 0
        for number in 0..<180 * testScale {
          let operation = Operation(seed: seed, number: number, mix: KillTests.mix)
          let before = model
          operation.apply(to: &model)
          try camera.watch {
            try operation.apply(to: store) { _, _ in camera.takePicture() }
            if generator.chance(10) { try store.checkpoint() }
            if generator.chance(10) { try store.sync() }
          }
          camera.takePicture()
          for picture in camera.pictures {
            let copy = try Store(picture)
            let found = try copy.everything()
            #expect(found == before || found == model, "operation \(number)")
            #expect(copy.core.verify().isSound, "operation \(number): \(copy.core.verify().faults)")
            try copy.put("works", forKey: "after")
            try copy.close()
            pictures += 1
          }
          camera.clear()
        }
        #expect(pictures > 300, "too few system calls were seen: \(pictures)")
      }
    }
  }

  /// Every kind of change after the checkpoint is replayed.
  @Test func anUnclosedStoreHasEverythingThatReturned() throws {
    let seed = testSeed("anUnclosedStoreHasEverythingThatReturned")
    let scratch = try Scratch()
    let store = try scratch.store()
    var model = Operation.Contents()
    for number in 0..<200 * testScale {
      let operation = Operation(seed: seed, number: number)
      operation.apply(to: &model)
      try operation.apply(to: store)
      guard number % 10 == 9 else { continue }
      if number % 70 == 69 { try store.checkpoint() }
      try write(contents(scratch.path()), to: scratch.path("copy"))
      let copy = try scratch.store("copy")
      #expect(try copy.everything() == model, "operation \(number)")
      try expectSound(copy)
    }
  }

  // MARK: Superblocks

  private func storeWithCheckpoint(_ scratch: Scratch) throws {
    let store = try scratch.store()
    for number in 0..<500 { try store.put("value", forKey: "key \(number)") }
    try store.checkpoint()
    for number in 500..<700 { try store.put("value", forKey: "key \(number)") }
    try write(contents(scratch.path()), to: scratch.path("crashed"))
  }

  @Test(arguments: [Layout.superblockOffsets.a, Layout.superblockOffsets.b], [false, true])
  func oneSuperblockIsEnough(offset: Int, isZeroed: Bool) throws {
    let scratch = try Scratch()
    try storeWithCheckpoint(scratch)
    let path = scratch.path("crashed")
    let intact = try contents(path)[offset..<offset + 32]
    if isZeroed {
      try overwrite(path, at: offset, with: [UInt8](repeating: 0, count: 4096))
    } else {
      try flip(path, at: offset + 100)
    }
    let damaged = try contents(path)
    #expect(try scratch.store("crashed") { $0.access = .readOnly }.count == 700)
    let report = try Store.verify(path)
    #expect(report.isSound && report.repairs.count == 1)
    #expect(try contents(path) == damaged, "reading changed the file")
    let store = try scratch.store("crashed")
    #expect(try store.everything().count == 700)
    try expectSound(store)
    // Opening for writing repairs the other one.
    #expect(try contents(path)[offset..<offset + 32] == intact)
  }

  /// Recovery reads the checkpoint before it writes anything.
  @Test(arguments: [false, true])
  func aDamagedPageIsRefusedAndLeftAsItIs(isSpaceTable: Bool) throws {
    let scratch = try Scratch()
    let store = try scratch.store()
    try store.put("before", forKey: "key")
    try store.checkpoint()
    let shared = store.core.memory.shared
    let key = unsafe KeyHash(bytes("key").span.bytes, seed: store.core.memory.seed)
    let bucket = try IndexReader(memory: store.core.memory).bucket(key, workingTag: 0).page
    let page = isSpaceTable ? shared[.spaceRoot].page : bucket
    try store.put("after", forKey: "key")
    let copy = scratch.path("copy")
    try write(contents(scratch.path()), to: copy)
    try flip(copy, at: page.offset + 100)
    let before = try contents(copy)
    #expect(code { try scratch.store("copy") } == .damaged)
    #expect(try contents(copy) == before)
  }

  @Test func withoutSuperblocksAStoreIsRefused() throws {
    let scratch = try Scratch()
    try storeWithCheckpoint(scratch)
    let path = scratch.path("crashed")
    try flip(path, at: Layout.superblockOffsets.a + 100)
    try flip(path, at: Layout.superblockOffsets.b + 100)
    let damaged = try contents(path)
    #expect(code { try scratch.store("crashed") } == .damaged)
    #expect(code { try scratch.store("crashed") { $0.access = .readOnly } } == .damaged)
    #expect(try Store.verify(path).isSound == false)
    #expect(try contents(path) == damaged)
  }

  @Test func superblocksOfTwoStoresAreRefused() throws {
    let scratch = try Scratch()
    try storeWithCheckpoint(scratch)
    try scratch.store("other").close()
    let foreign = try contents(scratch.path("other"))[0..<256]
    try overwrite(scratch.path("crashed"), at: 0, with: Array(foreign))
    #expect(code { try scratch.store("crashed") } == .damaged)
  }
}

/// Copies a store's file each time this thread makes a system call.
private final class Camera: Sendable {
  private struct State {
    var pictures: [FilePath] = []
    var count = 0
    var last: Data?
  }
  private let scratch: Scratch
  private let state = Mutex<State>(State())

  init(_ scratch: Scratch) { self.scratch = scratch }

  var pictures: [FilePath] { state.withLock { $0.pictures } }

  func watch(_ body: () throws -> Void) rethrows {
    let thread = Threads.current
    FaultInjection.install { [self] _ in
      if Threads.current == thread { takePicture() }
      return nil
    }
    defer { FaultInjection.install(nil) }
    try body()
  }

  func takePicture() {
    state.withLock { state in
      guard let data = try? contents(scratch.path()), data != state.last else { return }
      state.last = data
      state.count += 1
      let path = scratch.path("picture \(state.count)")
      guard (try? write(data, to: path)) != nil else { return }
      state.pictures.append(path)
    }
  }

  func clear() {
    for path in pictures { try? FileManager.default.removeItem(atPath: path.string) }
    state.withLock { $0.pictures = [] }
  }
}
