import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

/// The hook is for the whole process, so each test runs in a process of its own.
@Suite("Failing system calls")
struct FaultInjectionTests {
  /// Makes every system call of the module, in a directory of its own.
  static func everything(in scratch: Scratch) throws {
    let page = PageSize.bytes
    var file = try File(unnamedIn: scratch.directory)
    try file.allocate(offset: 0, length: Int64(4 * page))
    try file.setSize(Int64(8 * page))
    try file.write([1], at: 0)
    _ = try file.bytes(1)
    try file.punchHole(offset: Int64(4 * page), length: Int64(page))
    _ = try File(unnamedIn: scratch.directory).shareContents(of: file)
    try file.sync()
    try file.dataSync()
    _ = try file.duplicate().status()
    try File(inMemory: "memory").close()
    try file.allocateZeroed(offset: 0, length: 4096)
    file.requestChangesInPlace()
    _ = try file.fileSystemKind()
    try file.setPermissions(0o600)
    _ = try file.openedAgain()
    _ = try File.followingLinks(scratch.path("linked"))
    #expect(try file.link(as: scratch.path("linked")))
    try File.rename(scratch.path("linked"), to: scratch.path("renamed"), replacing: true)
    _ = try File.identity(of: scratch.path("renamed"))
    let range = FileRange(offset: 0, length: 1)
    _ = try file.tryLock(.shared, range: range)
    try file.lock(.exclusive, range: range)
    _ = try file.conflictingLock(.shared, range: range)
    try file.unlock(range: range)
    let space = try Reservation(atLeast: 8 * page, preferring: 8 * page)
    try space.place(
      file, fileOffset: 0, at: 0, length: 8 * page, protection: [.read, .write], sharing: .shared)
    try space.advise(at: 0, length: 8 * page, .populateWrite)
    try space.advise(at: 0, length: page, .random)
    try space.advise(at: 0, length: page, .populateRead)
    try space.protect(at: 0, length: page, .read)
    try space.sync(at: 0, length: page)
    _ = try space.residentPages(at: 0, length: page)
    try space.lock(at: 0, length: page)
    try space.unlock(at: 0, length: page)
    var mapping = try MutableMapping(anonymous: page)
    try mapping.resize(to: 2 * page)
    try mapping.set(page, to: 1)
    try File.remove(scratch.path("renamed"))
    try file.close()
  }

  @Test("Everything works without a hook, and with one that does nothing; the hook sees every call")
  func watching() async {
    await #expect(processExitsWith: .success) {
      try FaultInjectionTests.everything(in: Scratch())
      let seen = Shared(Set<SystemCall>())
      FaultInjection.install { call in
        seen.with { _ = $0.insert(call) }
        return nil
      }
      try FaultInjectionTests.everything(in: Scratch())
      FaultInjection.install(nil)
      // Other tests show these two: the handler is installed once in a process, and
      // holes are looked for only where there is no fallocate.
      seen.with { #expect(Set(SystemCall.allCases).subtracting($0) == [.sigaction, .lseek]) }
    }
  }

  @Test("A call interrupted by a signal is made again, whichever it is; close is not")
  func interrupted() async {
    await #expect(processExitsWith: .success) {
      let counts = Shared([SystemCall: Int]())
      FaultInjection.install { call in
        counts.with {
          $0[call, default: 0] += 1
          return $0[call] == 1 ? .interrupted : nil
        }
      }
      try FaultInjectionTests.everything(in: Scratch())
      FaultInjection.install(nil)
      counts.with {
        for (call, count) in $0 where call != .close { #expect(count >= 2, "\(call)") }
        #expect($0.keys.contains(.sigaction))
        // These are made once, and so twice with the interruption.
        for call in [SystemCall.fallocate, .ftruncate, .pread, .linkat, .fsync, .msync, .mremap, .mincore] {
          #expect($0[call] == 2, "\(call)")
        }
      }
    }
  }

  @Test("Whichever call fails, the error names it, and neither file nor memory leaks")
  func everyFailure() async {
    await #expect(processExitsWith: .success) {
      try FaultInjectionTests.everything(in: Scratch())
      let openFiles = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
      let seen = Shared([SystemCall]())
      FaultInjection.install { call in
        seen.with { $0.append(call) }
        return nil
      }
      try FaultInjectionTests.everything(in: Scratch())
      let calls = seen.with { $0 }
      #expect(calls.count > 30)
      for failing in calls.indices {
        let scratch = try Scratch()
        let position = Shared(0)
        FaultInjection.install { _ in
          position.with { position -> Errno? in
            position += 1
            return position == failing + 1 ? .ioError : nil
          }
        }
        do {
          try FaultInjectionTests.everything(in: scratch)
          // The end of a value cannot throw. If stat fails, the file gets a temporary
          // name. Flags of a file are a hint.
          let untold: [SystemCall] = [.close, .munmap, .unlink, .stat, .fstat, .setFlags]
          #expect(untold.contains(calls[failing]), "\(calls[failing])")
        } catch let error as MappingError {
          #expect(error.operation == calls[failing].rawValue)
          #expect(error.code == .system(.ioError))
          #expect(error.description.contains("disk or its connection"))
        }
        FaultInjection.install(nil)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count == openFiles)
    }
  }

  @Test("If the handler cannot be installed, the next mapping tries again")
  func handler() async {
    await #expect(processExitsWith: .success) {
      FaultInjection.install { $0 == .sigaction ? .invalidArgument : nil }
      let error = try mappingError { _ = try MutableMapping(anonymous: 1) }
      #expect(error.operation == "sigaction")
      FaultInjection.install(nil)
      let file = try File(unnamedIn: "/tmp")
      let mapping = try Mapping(file, length: 1)
      #expect(throws: MappingError.lost("/tmp")) { try mapping.byte(0) }
    }
  }

  @Test("Errors name operation, file and what to do, for every reason that mmap(2) knows")
  func advice() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      let file = try scratch.file(pages: 1)
      let reasons: [Errno] = [
        .permissionDenied, .resourceTemporarilyUnavailable, .badFileDescriptor, .invalidArgument,
        .tooManyOpenFilesInSystem, .tooManyOpenFiles, .operationNotSupportedByDevice, .noMemory,
        .notPermitted,
        .textFileBusy, .overflow, .noSpace, .diskQuotaExceeded, .ioError, .fileTooLarge, .readOnlyFileSystem,
        .staleNFSFileHandle,
      ]
      var advice = Set<String>()
      for reason in reasons {
        FaultInjection.install { $0 == .mmap ? reason : nil }
        let error = try mappingError { _ = try Mapping(file, length: 1) }
        #expect(error.code == .system(reason))
        #expect(error.description.contains("mmap of \(scratch.path().string): "))
        #expect(error.description.contains("\(reason)"))
        #expect(error.description.hasSuffix(error.advice))
        #expect(error.advice.contains("manual page") == false)
        advice.insert(error.advice)
      }
      FaultInjection.install(nil)
      #expect(advice.count == reasons.count)

      let range = FileRange(offset: 0, length: 1)
      for reason in [Errno.noLocks, .notSupported, .deadlock] {
        FaultInjection.install { $0 == .lockWaiting ? reason : nil }
        let error = try mappingError { try file.lock(.exclusive, range: range) }
        #expect(error.code == .system(reason))
        #expect(error.advice.contains("manual page") == false)
      }
    }
  }

  @Test("A lock that is held elsewhere is not an error, whichever number the system gives")
  func heldLocks() async {
    await #expect(processExitsWith: .success) {
      let file = try Scratch().file(pages: 1)
      for reason in [Errno.resourceTemporarilyUnavailable, .permissionDenied] {
        FaultInjection.install { $0 == .lock ? reason : nil }
        #expect(try file.tryLock(.shared, range: FileRange(offset: 0, length: 1)) == false)
      }
    }
  }

  @Test("A waiting lock goes on waiting when a real signal arrives")
  func realSignal() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      let range = FileRange(offset: 0, length: 1)
      let holder = try scratch.file(pages: 1)
      try #require(try holder.tryLock(.exclusive, range: range))
      var action = sigaction()
      unsafe action.__sigaction_handler.sa_handler = { _ in }
      try #require(unsafe sigaction(SIGUSR1, &action, nil) == 0)
      let attempts = Shared(0)
      let waiter = Shared<pthread_t?>(nil)
      FaultInjection.install { call in
        if call == .lockWaiting {
          waiter.with { $0 = pthread_self() }
          attempts.with { $0 += 1 }
        }
        return nil
      }
      let isDone = Shared(false)
      let path = scratch.path()
      let thread = Thread {
        // A thread made here starts with most signals blocked.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGUSR1)
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        do {
          try File(opening: path, access: .readWrite).lock(.exclusive, range: range)
          isDone.with { $0 = true }
        } catch {
          attempts.with { $0 = -1000 }
        }
      }
      thread.start()
      // The first attempt, and two more after real interruptions.
      while attempts.with({ $0 }) < 3 && attempts.with({ $0 }) >= 0 {
        if let waiter = waiter.with({ $0 }) { pthread_kill(waiter, SIGUSR1) }
        sched_yield()
      }
      #expect(isDone.with { $0 } == false)
      try holder.unlock(range: range)
      while !isDone.with({ $0 }) && attempts.with({ $0 }) > 0 { sched_yield() }
      #expect(isDone.with { $0 })
    }
  }

  // MARK: What stands in for missing calls

  @Test("Without fallocate, holes are filled with zeros and data is left alone")
  func allocationWithoutTheCall() async {
    await #expect(processExitsWith: .success) {
      for missing in [Errno.notSupported, .noFunction] {
        let scratch = try Scratch()
        let file = try File(opening: scratch.path(), access: .readWrite, create: true)
        try file.setSize(1 << 20)
        try file.write([UInt8](repeating: 7, count: 4096), at: 65536)
        try file.write([8], at: 500_000)
        let written = Shared(0)
        FaultInjection.install { call in
          if call == .pwrite { written.with { $0 += 1 } }
          return call == .fallocate ? missing : nil
        }
        try file.allocate(offset: 10000, length: 2 << 20)
        FaultInjection.install(nil)
        let status = try file.status()
        #expect(status.size == 10000 + 2 << 20)
        #expect(status.allocatedBytes >= 2 << 20)
        var expected = [UInt8](repeating: 0, count: 10000 + 2 << 20)
        for index in 65536..<69632 { expected[index] = 7 }
        expected[500_000] = 8
        #expect(try file.bytes(3 << 20) == expected)
        // All but the two pages that had storage is written, 64 KiB at a time.
        let holes = [10000..<65536, 69632..<499_712, 503_808..<1 << 20, 1 << 20..<10000 + 2 << 20]
        let writes = holes.map { ($0.upperBound - 1) / 65536 - $0.lowerBound / 65536 + 1 }
        #expect(written.with { $0 } == writes.reduce(0, +))
      }
    }
  }

  @Test("Zeros are written 64 KiB at a time, however the range lies", arguments: [Int64(0), 100])
  func zerosInFolios(offset: Int64) async {
    await #expect(processExitsWith: .success) { [offset = offset as Int64] in
      let file = try File(unnamedIn: "/tmp")
      let written = Shared(0)
      FaultInjection.install { call in
        if call == .pwrite { written.with { $0 += 1 } }
        return nil
      }
      try file.writeZeros(offset: offset, length: 131_072)
      FaultInjection.install(nil)
      // A range that starts inside a block of 64 KiB touches one more of them.
      #expect(written.with { $0 } == (offset == 0 ? 2 : 3))
    }
  }

  @Test("Where a file system does not tell its holes, everything counts as data")
  func allocationWithoutHoles() async {
    await #expect(processExitsWith: .success) {
      let file = try File(unnamedIn: "/tmp")
      try file.setSize(65536)
      let written = Shared(0)
      FaultInjection.install { call in
        if call == .pwrite { written.with { $0 += 1 } }
        return call == .fallocate ? .notSupported : call == .lseek ? .invalidArgument : nil
      }
      try file.allocate(offset: 0, length: 65536 + 8192)
      FaultInjection.install(nil)
      #expect(written.with { $0 } == 1)
      #expect(try file.status().size == 65536 + 8192)
    }
  }

  @Test(
    "Without O_TMPFILE the file has a temporary name, gone with the value or replaced by its own",
    arguments: [Errno.notSupported.rawValue, Errno.isDirectory.rawValue, Errno.invalidArgument.rawValue])
  func temporaryNames(missing: Int32) async {
    await #expect(processExitsWith: .success) { [missing = missing as Int32] in
      let scratch = try Scratch()
      let opens = Shared(0)
      FaultInjection.install { call in
        guard call == .open || call == .openUnnamed else { return nil }
        return opens.with {
          $0 += 1
          // There are no unnamed files, and the first name drawn is taken.
          return $0 % 3 == 1 ? Errno(rawValue: missing) : $0 % 3 == 2 ? .fileExists : nil
        }
      }
      do {
        let file = try File(unnamedIn: scratch.directory, named: "store")
        let names = try scratch.names
        #expect(names.count == 1)
        #expect(names[0].hasPrefix(".store.tmp-"))
        #expect(names[0].count == ".store.tmp-".count + 8)
        #expect(file.path == scratch.path(names[0]))
      }
      #expect(try scratch.names == [])
      do {
        var file = try File(unnamedIn: scratch.directory)
        try file.write([5], at: 0)
        #expect(try file.link(as: scratch.path("named")))
        #expect(try file.status().linkCount == 1)
        var second = try File(unnamedIn: scratch.directory)
        #expect(try mappingError { _ = try second.link(as: scratch.path("named")) }.errno == .fileExists)
        #expect(try scratch.names.count == 2)
      }
      FaultInjection.install(nil)
      #expect(try scratch.names == ["named"])
      #expect(try File(opening: scratch.path("named"), access: .readOnly).bytes(1) == [5])
    }
  }

  @Test("A directory that does not support syncing is no error; a sync that fails is one")
  func directorySync() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      FaultInjection.install { $0 == .fsync ? .invalidArgument : nil }
      try File.syncDirectory(scratch.directory)
      FaultInjection.install { $0 == .fsync ? .ioError : nil }
      let error = try mappingError { try File.syncDirectory(scratch.directory) }
      #expect(error.path == scratch.directory)
      #expect(error.errno == .ioError)
    }
  }
}
