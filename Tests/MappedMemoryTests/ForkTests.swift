import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a forked child sees, and that it cannot harm its parent. Each test runs in a
/// process of its own.
@Suite("Children of fork")
struct ForkTests {
  @Test("A child has neither mapping nor reservation; calls on them are errors")
  func missing() async {
    await #expect(processExitsWith: .success) {
      let page = PageSize.bytes
      var mapping = try MutableMapping(anonymous: page)
      try mapping.set(0, to: 1)
      let space = try Reservation(atLeast: 4 * page, preferring: 4 * page)
      try space.placeAnonymous(at: 0, length: page, protection: [.read, .write])
      let status = exitStatusOfChild {
        if try mapping.kernelView() != nil { return 1 }
        if try space.kernelView() != nil || space.kernelView(3 * page) != nil { return 2 }
        let calls: [() throws -> Void] = [
          { try mapping.sync(at: 0, length: page) },
          { try mapping.advise(at: 0, length: page, .normal) },
          { _ = try mapping.residentPages(at: 0, length: page) },
          { try mapping.lock(at: 0, length: page) },
          { try space.protect(at: 0, length: page, .read) },
          { try space.placeAnonymous(at: 0, length: page, protection: .read) },
          { try space.vacate(at: 0, length: page) },
        ]
        for (number, call) in calls.enumerated() {
          do {
            try call()
            return Int32(10 + number)
          } catch let error as MappingError {
            if error.code != .inherited { return Int32(30 + number) }
          }
        }
        return 0
      }
      #expect(status == 0)
      #expect(try mapping.byte(0) == 1)
      #expect(try space.kernelView()?.permissions == "rw-p")
    }
  }

  @Test("An inherited shared mapping is the same memory in both")
  func inherited() async {
    await #expect(processExitsWith: .success) {
      let page = PageSize.bytes
      var mapping = try MutableMapping(anonymous: page, sharing: .shared, options: .inheritedByChildren)
      try mapping.set(0, to: 1)
      let status = exitStatusOfChild {
        let seen = mapping.bytes.byte(0)
        try mapping.set(1, to: 2)
        return Int32(seen)
      }
      #expect(status == 1)
      #expect(try mapping.byte(1) == 2)
    }
  }

  @Test("A child survives a loss in an inherited mapping, and only the child marks it")
  func lossInChild() async {
    await #expect(processExitsWith: .success) {
      let file = try File(unnamedIn: "/tmp")
      let mapping = try Mapping(file, length: PageSize.bytes, options: .inheritedByChildren)
      let status = exitStatusOfChild {
        let byte = mapping.bytes.byte(0)
        return byte == 0 && mapping.isLost ? 7 : 8
      }
      #expect(status == 7)
      #expect(mapping.isLost == false)
    }
  }

  @Test("A child keeps no locks of a file that children close")
  func locksOfTheDead() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      _ = try scratch.file(pages: 1)
      let range = FileRange(offset: 0, length: 1)
      var file = try File(opening: scratch.path(), access: .readWrite)
      try file.closeInForkedChildren()
      #expect(try file.tryLock(.exclusive, range: range))
      let pipe = try FileDescriptor.pipe()
      let child = startChild {
        _ = try pipe.writeEnd.writeAll([1])
        alarm(60)
        while true { pause() }
      }
      // A child that runs has closed the file.
      var byte: [UInt8] = [0]
      #expect(try unsafe byte.withUnsafeMutableBytes { try unsafe pipe.readEnd.read(into: $0) } == 1)
      // As if this process had died: it does not unlock.
      try file.close()
      let other = try File(opening: scratch.path(), access: .readWrite)
      #expect(try other.tryLock(.exclusive, range: range))
      #expect(kill(child, SIGKILL) == 0)
      #expect(exitStatus(of: child) == -SIGKILL)
    }
  }

  @Test("Wiped memory is zeros in a child")
  func wiped() async {
    await #expect(processExitsWith: .success) {
      var mapping = try MutableMapping(anonymous: PageSize.bytes, options: .inheritedByChildren)
      try mapping.set(0, to: 5)
      #expect(exitStatusOfChild { Int32(mapping.bytes.byte(0)) } == 5)
      try mapping.advise(at: 0, length: PageSize.bytes, .wipeOnFork)
      #expect(exitStatusOfChild { Int32(mapping.bytes.byte(0)) } == 0)
      #expect(try mapping.byte(0) == 5)
    }
  }

  @Test("A child that ends an inherited mapping does not unmap what it has put there itself")
  func endInChild() async {
    await #expect(processExitsWith: .success) {
      final class Box {
        var mapping: MutableMapping?
        init(_ mapping: consuming MutableMapping) { self.mapping = consume mapping }
      }
      let page = PageSize.bytes
      let mapping = try MutableMapping(anonymous: page)
      let address = mapping.address
      let box = Box(mapping)
      let status = exitStatusOfChild {
        let own = unsafe mmap(
          UnsafeMutableRawPointer(bitPattern: address), page, PROT_READ | PROT_WRITE,
          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
        unsafe own!.storeBytes(of: 9, as: UInt8.self)
        box.mapping = nil
        let isThere = try KernelView(at: address)?.permissions == "rw-p"
        return isThere ? Int32(unsafe own!.load(as: UInt8.self)) : 1
      }
      #expect(status == 9)
      #expect(try KernelView(at: address)?.permissions == "rw-p")
      withExtendedLifetime(box) {}
    }
  }

  @Test("A child can neither take nor give up a lock of its parent's")
  func locks() async {
    await #expect(processExitsWith: .success) {
      let scratch = try Scratch()
      let range = FileRange(offset: 1 << 40, length: 1)
      let file = try scratch.file(pages: 1)
      let other = try File(opening: scratch.path(), access: .readWrite)
      try #require(try file.tryLock(.exclusive, range: range))
      let status = exitStatusOfChild {
        let calls: [() throws -> Void] = [
          { try file.unlock(range: range) },
          { _ = try file.tryLock(.shared, range: range) },
          { try file.lock(.shared, range: range) },
          { _ = try file.conflictingLock(.shared, range: range) },
        ]
        for (number, call) in calls.enumerated() {
          do {
            try call()
            return Int32(10 + number)
          } catch let error as MappingError {
            if error.code != .inherited { return Int32(30 + number) }
          }
        }
        return 0
      }
      #expect(status == 0)
      // The child has ended and closed its descriptor: the lock is still held.
      #expect(try other.tryLock(.shared, range: range) == false)
    }
  }

  @Test("A child that ends a temporary file does not remove its name")
  func temporaryName() async {
    await #expect(processExitsWith: .success) {
      final class Box {
        var file: File?
        init(_ file: consuming File) { self.file = consume file }
      }
      let scratch = try Scratch()
      let isFirst = Shared(true)
      FaultInjection.install { call in
        guard call == .openUnnamed, isFirst.with({ $0 }) else { return nil }
        isFirst.with { $0 = false }
        return .notSupported
      }
      let file = try File(unnamedIn: scratch.directory, named: "store")
      FaultInjection.install(nil)
      let box = Box(file)
      let names = try scratch.names
      #expect(names.count == 1)
      let status = exitStatusOfChild {
        box.file = nil
        return 0
      }
      #expect(status == 0)
      #expect(try scratch.names == names)
      box.file = nil
      #expect(try scratch.names == [])
    }
  }
}
