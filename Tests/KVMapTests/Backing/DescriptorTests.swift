#if os(Linux)
  import Foundation
  import Glibc
  import MappedMemory
  import Synchronization
  import SystemPackage
  import TestSupport
  import Testing

  @testable import KVMap

  /// A process may be started without standard streams, and the system gives the lowest free
  /// number to the next file that is opened. If that is a store, what the process prints goes
  /// into it. Each test runs in a process of its own, since it closes the streams.
  @Suite(.timeLimit(.minutes(5)))
  struct DescriptorTests {
    /// Written all the time to the streams that are closed.
    private static let noise = "this is no part of a store\n"

    @Test(arguments: [[0], [1], [2], [0, 1, 2]] as [[Int32]])
    func whatIsPrintedNeverGoesIntoAStore(missing: [Int32]) async {
      await #expect(processExitsWith: .success) { [missing = missing as [Int32]] in
        try blocking {
          let scratch = try Scratch.inMemory()
          let problems = Mutex<[String]>([])
          let isDone = Atomic<Bool>(false)
          for stream in missing { close(stream) }
          let printer = Threads(1) {
            while !isDone.load(ordering: .relaxed) {
              for stream in missing { _ = unsafe write(stream, Self.noise, Self.noise.utf8.count) }
              if missing.contains(STDOUT_FILENO) {
                print(Self.noise)
                unsafe fflush(nil)
              }
            }
          }
          // Looks at the streams at every call: a file may have the number of a stream for a moment.
          FaultInjection.install { call in
            // Time for other threads to close what they have opened.
            if call == .open { usleep(200) }
            for stream in missing {
              if let target = Self.file(of: stream), Self.isOfAStore(target, scratch) {
                problems.withLock { $0.append("\(stream) is \(target) at \(call)") }
              }
            }
            return nil
          }
          // Three at once: a thread must not open a store with the number that another has just closed.
          let threads = Atomic<Int>(0)
          Threads(3) {
            let own = threads.wrappingAdd(1, ordering: .relaxed).oldValue
            do {
              for round in 0..<Self.rounds { try Self.live(in: scratch, "\(own) \(round)") }
            } catch {
              problems.withLock { $0.append("\(error)") }
            }
          }.join()
          FaultInjection.install(nil)
          // The same for handles that stay open.
          let stores = [try scratch.store("0 0"), try Store.inMemory()]
          for number in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            guard let number = Int32(number), let target = Self.file(of: number) else { continue }
            if Self.isOfAStore(target, scratch) { #expect(number > STDERR_FILENO, "\(target)") }
          }
          isDone.store(true, ordering: .relaxed)
          printer.join()
          for store in stores { try store.close() }
          // The library leaves nothing in their place; the language's own runtime may open something.
          for stream in missing { #expect(Self.file(of: stream) != "/") }
          let found = problems.withLock { $0 }
          #expect(found.isEmpty, "\(found.count), the first: \(found.first ?? "")")
          try Self.expectSound(scratch)
        }
      }
    }

    private static func file(of descriptor: Int32) -> String? {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
    }

    private static func isOfAStore(_ target: String, _ scratch: Scratch) -> Bool {
      target.hasPrefix(scratch.directory.string) || target.hasPrefix("/memfd:")
    }

    private static let keys = 20
    private static let rounds = 4

    private static func value(_ number: Int) -> [UInt8] {
      patterned(number % 10 == 9 ? 80_000 : 100, UInt64(number))
    }

    /// Makes every call that opens a file.
    private static func live(in scratch: Scratch, _ name: String) throws {
      let path = scratch.path(name)
      // Some stores begin as an empty file. Foundation would open it with the number of a closed stream.
      if name.hasSuffix("1") { _ = try File(opening: path, access: .readWrite, create: true) }
      let store = try scratch.store(name)
      for number in 0..<keys { try store.put(value(number), forKey: "key \(number)") }
      try store.checkpoint()
      let snapshot = try store.snapshot()
      try store.backup(to: scratch.path("\(name) backup"))
      try store.backup(to: scratch.path("\(name) clone"), sharesBlocks: true)
      for access in [Store.Access.readOnly, .scratch, .readWrite] {
        try scratch.store(name) { $0.access = access }.close()
      }
      for number in 0..<keys { try store.put(value(number), forKey: "key \(number)") }
      try store.compact()
      snapshot.end()
      try store.close()
      guard try Store.verify(path).isSound else { throw KillFailure("\(name) is not sound") }
      _ = try Store.salvage(from: path, into: scratch.path("\(name) salvage"))
      let inMemory = try Store.inMemory()
      for number in 0..<keys { try inMemory.put(value(number), forKey: "key \(number)") }
      for number in 0..<keys where try inMemory.get("key \(number)") != value(number) {
        throw KillFailure("a value in memory is wrong")
      }
    }

    private static func expectSound(_ scratch: Scratch) throws {
      let names = try scratch.names
      #expect(names.count == 3 * rounds * 4)
      for name in names {
        #expect(try contents(scratch.path(name)).range(of: Data(noise.utf8)) == nil, "\(name)")
        #expect(try Store.verify(scratch.path(name)).isSound, "\(name)")
        let store = try scratch.store(name) { $0.access = .readOnly }
        #expect(try store.count == keys, "\(name)")
        for number in 0..<keys { #expect(try store.get("key \(number)") == value(number), "\(name)") }
      }
    }
  }
#endif
