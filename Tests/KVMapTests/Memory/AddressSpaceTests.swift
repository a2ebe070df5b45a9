#if os(Linux)
  import Foundation
  import Glibc
  import Synchronization
  import SystemPackage
  import TestSupport
  import Testing

  @testable import KVMap

  /// How much address space, memory and threads stores take. Each test runs in a process of its
  /// own, which has nothing else.
  @Suite(.timeLimit(.minutes(5)))
  struct AddressSpaceTests {
    // MARK: Many stores

    @Test func thousandsOfStoresAreOpenAtOnce() async {
      await #expect(processExitsWith: .success) {
        try blocking {
          // Otherwise glibc reserves 64 MiB of addresses for each of the first threads that allocate.
          typealias SetOption = @convention(c) (CInt, CInt) -> CInt
          let maximalArenas: CInt = -8
          #expect(hidden("mallopt", as: SetOption.self)(maximalArenas, 1) == 1)
          let scratch = try Scratch.inMemory()
          let first = 100
          let count = first + (try ProcessShare.possibleDescriptors(upTo: 2 * 5_000 + 500) - 500) / 2 - first
          #expect(count > first, "\(count)")
          for number in 0..<count {
            let store = try scratch.store("\(number)")
            try store.put("\(number)", forKey: "number")
            try store.close()
          }
          let fileBytes = Int(
            try FileManager.default.attributesOfItem(atPath: scratch.path("0").string)[.size] as! UInt64)
          // The first stores also take what a process needs once.
          var stores = try (0..<first).map { try scratch.store("\($0)") }
          let before = try ProcessShare()
          for number in first..<count { stores.append(try scratch.store("\(number)")) }
          let idle = try ProcessShare()
          let each = idle.more(than: before, forEach: count - first)
          #expect(each.private <= 64 << 10 && each.resident <= 64 << 10, "\(each)")
          #expect(each.addresses <= 4 * fileBytes + 512 << 10, "\(each)")
          #expect(idle.threads < before.threads + 20, "\(idle.threads) threads after \(before.threads)")
          for (number, store) in stores.enumerated() {
            try store.put("again", forKey: "later \(number)")
            #expect(try store.get("number", as: String.self) == "\(number)", "store \(number)")
            #expect(try store.get("later \(number)", as: String.self) == "again", "store \(number)")
            #expect(try store.count == 2, "store \(number)")
          }
          let used = try ProcessShare()
          #expect(used.threads < before.threads + 20, "\(used.threads) threads after \(before.threads)")
          // Each store starts a thread when it needs one. Threads of the runtime come and go.
          var others: [Store] = []
          for number in 0..<20 {
            let other = try scratch.store("\(number)") { $0.durability = .interval(milliseconds: 10) }
            try other.put("x", forKey: "x")
            others.append(other)
          }
          #expect(try ProcessShare().threads >= used.threads + 15, "\(used.threads) threads")
          for store in others + stores { try store.close() }
          (others, stores) = ([], [])
          let left = try ProcessShare.mappings(of: scratch.directory.string)
          #expect(left == 0, "\(left) mappings left")
          let after = try ProcessShare()
          #expect(after.addresses <= before.addresses, "\(after), before \(before)")
        }
      }
    }

    @Test func aThousandStoresInMemory() async {
      await #expect(processExitsWith: .success) {
        try blocking {
          _ = try ProcessShare.possibleDescriptors(upTo: 1_500)
          var stores = try (0..<50).map { _ in try Store.inMemory() }
          let before = try ProcessShare()
          for _ in 50..<1_000 { stores.append(try Store.inMemory()) }
          let idle = try ProcessShare()
          let each = idle.more(than: before, forEach: 950)
          #expect(each.private <= 64 << 10 && each.resident <= 64 << 10, "\(each)")
          #expect(each.addresses <= 16 << 20, "\(each)")
          for (number, store) in stores.enumerated() {
            for key in 0..<20 { try store.put(patterned(500, UInt64(number)), forKey: "key \(key)") }
            try store.put("\(number)", forKey: "number")
          }
          let used = try ProcessShare()
          #expect(used.threads < before.threads + 20, "\(used.threads) threads after \(before.threads)")
          for (number, store) in stores.enumerated() {
            #expect(try store.get("number", as: String.self) == "\(number)", "store \(number)")
            #expect(try store.get("key 19") == patterned(500, UInt64(number)), "store \(number)")
            #expect(try store.count == 21, "store \(number)")
          }
          let mapped = try ProcessShare.mappings(of: "/memfd:kvmap")
          #expect(mapped >= 1_000, "\(mapped) mappings")
          stores = []
          let left = try ProcessShare.mappings(of: "/memfd:kvmap")
          #expect(left == 0, "\(left) mappings left")
        }
      }
    }

    // MARK: Mapped anew

    /// With the least address space each growth moves the mapping. The old mapping stays as long
    /// as somebody uses its bytes, and then ends.
    @Test(arguments: [false, true])
    func bytesInUseStayWhileTheStoreIsMappedAnew(inMemory: Bool) async {
      await #expect(processExitsWith: .success) { [inMemory = inMemory as Bool] in
        try blocking {
          unsafe setenv("KVMAP_TIGHT_ADDRESS_SPACE", "1", 1)
          let scratch = try Scratch.inMemory()
          // Makes the file first: one that is mapped before it has a name is not listed by name.
          try scratch.store().close()
          let store = try inMemory ? Store.inMemory() : scratch.store()
          let name = inMemory ? "/memfd:kvmap" : scratch.path().string
          func fill(_ round: Int) throws {
            for number in 0..<40 {
              let value = patterned(number % 5 == 0 ? 70_000 : 200, UInt64(round * 40 + number))
              try store.put(value, forKey: "key \(number)")
            }
          }
          try fill(0)
          let usual = try ProcessShare.mappings(of: name)
          let snapshot = try store.snapshot()
          func expectOld(_ value: RawSpan?, _ number: Int) {
            let old = patterned(number % 5 == 0 ? 70_000 : 200, UInt64(number))
            #expect(value?.array == old, "key \(number) as it was")
          }
          let isDone = Atomic<Bool>(false)
          let problems = Mutex<[String]>([])
          let reader = Threads(2) {
            while !isDone.load(ordering: .relaxed) {
              do {
                for number in 0..<40 {
                  let value = try store.get("key \(number)") ?? []
                  let stamp = value.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
                  if value != patterned(number % 5 == 0 ? 70_000 : 200, stamp) || stamp % 40 != number {
                    problems.withLock { $0.append("key \(number) is wrong") }
                  }
                }
              } catch {
                problems.withLock { $0.append("\(error)") }
              }
            }
          }
          var most = 0
          try store.withValue(forKey: "key 0") { large in
            try store.withValue(forKey: "key 1") { small in
              for round in 1...12 {
                try fill(round)
                expectOld(large, 0)
                expectOld(small, 1)
                for number in 0..<40 {
                  try snapshot.withValue(forKey: "key \(number)") { expectOld($0, number) }
                }
              }
              most = try ProcessShare.mappings(of: name)
            }
          }
          isDone.store(true, ordering: .relaxed)
          reader.join()
          let found = problems.withLock { $0 }
          #expect(found.isEmpty, "\(found.count), the first: \(found.first ?? "")")
          // A snapshot alone keeps the old mapping.
          try store.put("x", forKey: "last")
          for number in 0..<40 { try snapshot.withValue(forKey: "key \(number)") { expectOld($0, number) } }
          snapshot.end()
          try store.put("y", forKey: "last")
          let last = try ProcessShare.mappings(of: name)
          let course = "\(usual) mappings, then \(most), then \(last)"
          #expect(most > usual + 10, "\(course)")
          #expect(last <= usual + 1, "\(course)")
          for number in 0..<40 {
            #expect(
              try store.get("key \(number)")
                == patterned(number % 5 == 0 ? 70_000 : 200, UInt64(12 * 40 + number)))
          }
          try expectSound(store)
        }
      }
    }

    // MARK: Running out

    /// In a store, and in a private view of one.
    @Test(arguments: [Store.Access.readWrite, .scratch])
    func runningOutOfAddressSpaceIsAnError(access: Store.Access) async {
      let isPrivate = access == .scratch
      await #expect(processExitsWith: .success) { [isPrivate = isPrivate as Bool] in
        try blocking {
          let scratch = try Scratch.inMemory()
          try scratch.store().close()
          let store = try scratch.store { $0.access = isPrivate ? .scratch : .readWrite }
          try store.put("value", forKey: "first")
          let snapshot = try store.snapshot()
          let limit = try ProcessShare().addresses + 96 << 20
          try ProcessShare.limitAddresses(to: limit)
          var written = 0
          var refusal: Store.Error?
          while refusal == nil, written < 10_000 {
            do throws(Store.Error) {
              try store.put(patterned(60_000, UInt64(written)), forKey: "key \(written)")
              written += 1
            } catch {
              refusal = error
            }
          }
          let error = try #require(refusal)
          #expect(error.code == .notEnoughMemory, "\(error)")
          #expect(error.message.contains(scratch.path().string), "\(error)")
          #expect(error.message.contains("address space, now \(limit) bytes (ulimit -v)"), "\(error)")
          let need = error.message.firstMatch(of: /needs (\d+)/).flatMap { Int($0.1) }
          #expect(need ?? 0 > written * 60_000, "\(error)")
          #expect(written > 50)
          func expectAll() throws {
            #expect(try store.count == written + 1)
            for number in 0..<written {
              #expect(try store.get("key \(number)") == patterned(60_000, UInt64(number)))
            }
            #expect(try snapshot.get("first", as: String.self) == "value")
          }
          try expectAll()
          #expect(code { try store.put(patterned(1 << 20, 1), forKey: "more") } == .notEnoughMemory)
          #expect(
            code { try store.transaction { try $0.put(patterned(1 << 20, 1), forKey: "more") } }
              == .notEnoughMemory)
          try expectAll()
          try ProcessShare.limitAddresses(to: nil)
          for _ in 0..<300 {
            try store.put(patterned(60_000, UInt64(written)), forKey: "key \(written)")
            written += 1
          }
          try expectAll()
          snapshot.end()
          if isPrivate { return }
          try expectSound(store)
          try store.close()
          #expect(try scratch.store().count == written + 1)
        }
      }
    }
  }

  /// The address space, memory and threads of this process.
  struct ProcessShare: CustomStringConvertible {
    /// In bytes: address space, what is mapped for this process alone to write, and what of
    /// that is in memory.
    var addresses: Int
    var `private`: Int
    var resident: Int
    var threads: Int

    init() throws {
      let status = try Self.text("/proc/self/status")
      func kilobytes(_ name: String) -> Int {
        let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") }
        return line.flatMap { Int($0.split(whereSeparator: \.isWhitespace)[1]) } ?? 0
      }
      addresses = kilobytes("VmSize") << 10
      `private` = kilobytes("VmData") << 10
      resident = kilobytes("RssAnon") << 10
      threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count
    }

    /// How much more there is than before, for each of `count` stores.
    func more(than before: Self, forEach count: Int) -> Self {
      var share = self
      share.addresses = (addresses - before.addresses) / count
      share.private = (self.private - before.private) / count
      share.resident = (resident - before.resident) / count
      return share
    }

    var description: String {
      "\(addresses >> 10) KiB of addresses, \(`private` >> 10) KiB private, \(resident >> 10) KiB in memory"
    }

    /// Foundation takes the first piece that the kernel gives for the whole text.
    private static func text(_ path: FilePath) throws -> String {
      let file = try FileDescriptor.open(path, .readOnly)
      return try file.closeAfter {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
          let count = try unsafe piece.withUnsafeMutableBytes { try unsafe file.read(into: $0) }
          if count == 0 { return String(decoding: all, as: UTF8.self) }
          all += piece[..<count]
        }
      }
    }

    /// How many mappings there are of files whose names begin with `file`.
    static func mappings(of file: String) throws -> Int {
      try text("/proc/self/maps").split(separator: "\n").count {
        $0.contains(file)
      }
    }

    private static func change(_ resource: __rlimit_resource_t, _ change: (inout rlimit) -> Void) throws
      -> Bool
    {
      var limit = rlimit()
      guard unsafe getrlimit(resource, &limit) == 0 else { throw Errno(rawValue: errno) }
      change(&limit)
      return unsafe setrlimit(resource, &limit) == 0
    }

    /// Sets the limit of address space; nil means as much as is allowed.
    static func limitAddresses(to bytes: Int?) throws {
      let isSet = try change(__rlimit_resource_t(RLIMIT_AS.rawValue)) {
        $0.rlim_cur = bytes.map { rlim_t($0) } ?? $0.rlim_max
      }
      if !isSet { throw Errno(rawValue: errno) }
    }

    /// Sets the limit of open files to `wanted`, or as high as possible, and returns it.
    static func possibleDescriptors(upTo wanted: Int) throws -> Int {
      var possible = wanted
      let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
      let isRaised = try change(resource) {
        $0.rlim_cur = rlim_t(wanted)
        $0.rlim_max = max($0.rlim_max, rlim_t(wanted))
      }
      if isRaised { return possible }
      _ = try change(resource) {
        $0.rlim_cur = min(rlim_t(wanted), $0.rlim_max)
        possible = Int($0.rlim_cur)
      }
      return possible
    }
  }
#endif
