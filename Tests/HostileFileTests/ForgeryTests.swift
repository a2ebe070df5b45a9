import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// Files of an attacker who can compute checksums. Each call returns or throws an error of the
/// library, in bounded time and memory, and does not change what it refuses or only reads.
@Suite(.timeLimit(.minutes(30)))
struct ForgeryTests {
  @Test(arguments: [false, true])
  func forgeriesWithRightChecksumsAreEndured(isClosed: Bool) async throws {
    let directory = try Cage.prepare()
    let seed = testSeed("forgeriesWithRightChecksumsAreEndured")
    await #expect(processExitsWith: .success) {
      [directory = directory as String, seed = seed as UInt64, isClosed = isClosed as Bool] in
      try blocking {
        try Cage.run("forgeriesWithRightChecksumsAreEndured", directory) { cage in
          let store = try isClosed ? HostileStore.closed(in: cage.directory) : .unclosed(in: cage.directory)
          let examiner = Examiner(original: store, path: cage.directory.appending("case"))
          let forger = try Forger(store.image)
          let saved = store.image.save()
          for number in Cage.onlyCase.map({ $0...$0 }) ?? 0...1_000 * Cage.scale {
            cage.begin("\(store.name): forgery \(number), seed \(seed)")
            var random = SeededGenerator(seed: seed &+ UInt64(number) &* 1_000_003)
            forger.forge(&random)
            defer { store.image.restore(saved) }
            do {
              try examiner.endure(&random)
            } catch {
              Issue.record("\(store.name): forgery \(number), seed \(seed): \(error)")
            }
          }
        }
      }
    }
    Cage.conclude(directory)
  }
}
