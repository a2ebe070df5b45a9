import MappedMemory
import SystemPackage
import TestSupport
import Testing

@testable import KVMap

/// The nth system call of one thread fails, for each n: a full disk, no address space, a sync
/// that fails. In a process of its own, since the hook is for the whole process.
@Suite(.timeLimit(.minutes(10)))
struct FaultTests {
  /// An operation that throws has not happened, and the store goes on as if it had not been
  /// called.
  @Test func aFullDiskChangesNothing() async throws {
    let seed = testSeed("aFullDiskChangesNothing")
    await #expect(processExitsWith: .success) { [seed = seed as UInt64] in
      try blocking {
        let calls: Set<SystemCall> = [.fallocate, .ftruncate, .mmap, .pwrite]
        let scratch = try Scratch()
        let store = try scratch.store { $0.exclusive = true }
        var model = Operation.Contents()
        var failures = 0
        for number in 0..<400 * testScale {
          let operation = Operation(seed: seed, number: number, mix: KillTests.mix)
          // For n from 1 on, until the operation succeeds.
          for nth in 1... {
            let fault = Fault(calls, nth: nth, as: number % 2 == 0 ? .noSpace : .noMemory)
            do {
              try fault.during { try operation.apply(to: store) }
              operation.apply(to: &model)
              break
            } catch let error as Store.Error {
              failures += 1
              #expect(
                [.diskFull, .notEnoughMemory, .system].contains(error.code), "operation \(number): \(error)")
              #expect(error.description.contains(scratch.path().string))
              #expect(try store.count == model.count, "operation \(number), call \(nth)")
            }
          }
          if number % 20 == 19 {
            #expect(try store.everything() == model, "operation \(number)")
            try expectSound(store, "operation \(number)")
          }
          // A new epoch, so that pages must be copied and space is free again.
          if number % 7 == 0 {
            let fault = Fault(calls, nth: 1, as: .noSpace)
            try? fault.during { try store.checkpoint() }
          }
        }
        #expect(failures > 50, "only \(failures) calls failed")
      }
    }
  }

  /// A put that could not leave the reserve failed before it had anything to undo, and the next
  /// checkpoint went on under a put's rule: it left alone the reserve that is kept for it, and
  /// its failure was reported as a full disk.
  @Test func aPutThatFindsNoReserveLeavesTheCheckpointsReserve() async throws {
    await #expect(processExitsWith: .success) {
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store()
        func purpose() throws -> SpaceReserve.Purpose {
          try store.core.withWriteLock { turn throws(Store.Error) in turn.writer.space.reserve.purpose }
        }
        try store.put("first", forKey: "key")
        // A store with fewer pages keeps no reserve.
        for number in 0..<1_000 { try store.put("value", forKey: "key \(number)") }
        try store.checkpoint()
        #expect(try purpose() == .checkpoint)
        // After a checkpoint the first thing that a put allocates is the reserve.
        for isTransaction in [false, true] {
          let fault = Fault([.fallocate], nth: 1, as: .noSpace)
          let found = code {
            try fault.during {
              if isTransaction {
                try store.transaction { try $0.put("second", forKey: "key") }
              } else {
                try store.put("second", forKey: "key")
              }
            }
          }
          #expect(found == .diskFull)
          #expect(try purpose() == .checkpoint)
          #expect(try store.get("key", as: String.self) == "first")
        }
      }
    }
  }

  /// Earlier commits stay; the failed one is there or not; and nobody writes before a recovery.
  @Test(arguments: [false, true])
  func aFailedSyncIsRecoveredFrom(exclusive: Bool) async throws {
    let seed = testSeed("aFailedSyncIsRecoveredFrom")
    await #expect(processExitsWith: .success) { [seed = seed as UInt64, exclusive = exclusive as Bool] in
      try blocking {
        let scratch = try Scratch()
        let store = try scratch.store {
          $0.durability = .onCommit; $0.exclusive = exclusive
        }
        let reader = try scratch.store { $0.access = .readOnly }
        var model = Operation.Contents()
        var failures = 0
        for number in 0..<120 * testScale {
          let operation = Operation(seed: seed, number: number, mix: KillTests.mix)
          let fault = Fault([.msync], nth: 1 + number % 3, as: .ioError)
          do {
            if number % 3 == 0 {
              try fault.during { try operation.apply(to: store) }
            } else {
              try operation.apply(to: store)
              try fault.during { try store.checkpoint() }
            }
            operation.apply(to: &model)
          } catch let error as Store.Error {
            failures += 1
            #expect(error.code == .outcomeUnknown, "operation \(number): \(error)")
            let known =
              number % 3 == 0 ? [model, operation.applied(to: model)] : [operation.applied(to: model)]
            // The next write begins with a recovery.
            try store.put("after the failure", forKey: "after")
            try store.remove("after")
            let found = try store.everything()
            #expect(known.contains(found), "operation \(number)")
            model = found
          }
          #expect(try reader.everything() == model, "operation \(number)")
          if number % 10 == 9 { try expectSound(store, "operation \(number)") }
        }
        #expect(failures > 20, "only \(failures) syncs failed")
      }
    }
  }

  /// Whichever call of opening or creating fails, there is an error, the next attempt succeeds,
  /// and no other file is left over.
  @Test func openingFailsCleanly() async throws {
    await #expect(processExitsWith: .success) {
      try blocking {
        for isNew in [true, false] {
          for nth in 1... {
            let scratch = try Scratch()
            if !isNew {
              let store = try scratch.store()
              try store.put("value", forKey: "key")
              try store.checkpoint()
              try store.put("later", forKey: "later")
              try store.close()
            }
            // If stat fails, the file gets a temporary name. Flags and mlock are dispensable.
            let calls = Set(SystemCall.allCases).subtracting([
              .close, .munmap, .stat, .fstat, .setFlags, .mlock,
            ])
            let fault = Fault(calls, nth: nth, as: .ioError)
            let found = code { try fault.during { try scratch.store() } }
            if found == nil {
              #expect(nth > 10)
              if !fault.hasStruck { break }
            }
            let store = try scratch.store()
            if !isNew {
              #expect(try store.get("key", as: String.self) == "value", "call \(nth)")
              #expect(try store.get("later", as: String.self) == "later", "call \(nth)")
            }
            try store.put("value", forKey: "key")
            try expectSound(store)
            #expect(try scratch.names == ["store"], "call \(nth)")
          }
        }
      }
    }
  }
}
