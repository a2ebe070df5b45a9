import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

@Suite("Mappings whose storage is lost")
struct LostMappingTests {
  let scratch: Scratch
  let page = PageSize.bytes

  init() throws { scratch = try Scratch() }

  @Test("Reading a truncated file throws instead of killing the process")
  func reading() throws {
    let file = try scratch.file(pages: 4)
    let mapping = try Mapping(file, length: 4 * page)
    try file.setSize(Int64(2 * page))
    #expect(try mapping.byte(page) == 2)
    #expect(mapping.isLost == false)
    let error = try mappingError { _ = try mapping.byte(3 * page) }
    #expect(error.code == .lost)
    #expect(error == .lost(scratch.path()))
    #expect(error.errno == .ioError)
    #expect(error.description.contains(scratch.path().string))
    #expect(mapping.isLost == true)
    // The page that is left reads as it was, the lost one as zeros.
    #expect(mapping.bytes.byte(0) == 1)
    #expect(mapping.bytes.byte(3 * page) == 0)
    #expect(throws: MappingError.lost(scratch.path())) { try mapping.byte(0) }
  }

  @Test("Writing past the end throws, shared or private", arguments: [Sharing.shared, .private])
  func writing(sharing: Sharing) throws {
    let file = try scratch.file(pages: 2)
    var mapping = try MutableMapping(file, length: 2 * page, sharing: sharing)
    try file.setSize(0)
    let error = try mappingError { try mapping.set(page, to: 9) }
    #expect(error.code == .lost)
    try file.setSize(Int64(2 * page))
    #expect(try file.bytes(1, at: page) == [0])
    let again = try mappingError { try mapping.sync(at: 0, length: 2 * page) }
    #expect(again.code == .lost)
  }

  @Test("If the closure throws after a loss, the loss is what is thrown")
  func closureErrors() throws {
    struct Failure: Error {}
    let file = try scratch.file(pages: 1)
    var mapping = try MutableMapping(file, length: page)
    #expect(throws: Failure.self) { try mapping.withBytes { _ in throw Failure() } }
    try file.setSize(0)
    #expect(throws: MappingError.lost(scratch.path())) {
      try mapping.withMutableBytes {
        $0.storeBytes(of: 1, as: UInt8.self)
        throw Failure()
      }
    }
    #expect(throws: MappingError.lost(scratch.path())) { try mapping.withBytes { _ in throw Failure() } }
  }

  @Test("The page put in place of a lost one has the protection of the mapping")
  func protection() throws {
    let file = try scratch.file(pages: 2)
    let reader = try Mapping(file, length: 2 * page)
    let writer = try MutableMapping(file, length: 2 * page)
    let changed = try MutableMapping(file, length: 2 * page).readOnly()
    try file.setSize(0)
    _ = (reader.bytes.byte(0), writer.bytes.byte(0), changed.bytes.byte(0))
    #expect(try reader.kernelView()?.permissions == "r--p")
    #expect(try writer.kernelView()?.permissions == "rw-p")
    #expect(try changed.kernelView()?.permissions == "r--p")
    // Only the page that was touched is replaced.
    #expect(try reader.kernelView(page)?.permissions == "r--s")
  }

  @Test("A loss marks its own mapping, and no other mapping of the same file")
  func neighbours() throws {
    let file = try scratch.file("lost", pages: 2)
    let other = try scratch.file("other", pages: 2)
    let first = try Mapping(file, length: 2 * page)
    let second = try Mapping(file, length: 2 * page)
    let third = try MutableMapping(other, length: 2 * page)
    let space = try Reservation(atLeast: 4 * page, preferring: 4 * page)
    try space.place(other, fileOffset: 0, at: 0, length: 2 * page, protection: .read, sharing: .shared)
    try file.setSize(0)
    #expect(throws: MappingError.self) { try first.byte(0) }
    #expect([first.isLost, second.isLost, third.isLost, space.isLost] == [true, false, false, false])
    #expect(try third.byte(page) == 2)
    #expect(try space.byte(page) == 2)
  }

  @Test("A loss in one part marks the reservation; the next one in its table entry starts unmarked")
  func reservation() throws {
    let file = try scratch.file(pages: 4)
    do {
      let space = try Reservation(atLeast: 16 * page, preferring: 16 * page)
      try space.place(
        file, fileOffset: 0, at: 8 * page, length: 4 * page, protection: [.read, .write], sharing: .shared)
      #expect(try space.byte(11 * page) == 4)
      try file.setSize(Int64(page))
      #expect(try space.byte(8 * page) == 1)
      #expect(unsafe space.lostFlag.pointee.load(ordering: .acquiring) == 0)
      #expect(try mappingError { try space.set(11 * page, to: 1) }.code == .lost)
      #expect(unsafe space.lostFlag.pointee.load(ordering: .acquiring) == 1)
      #expect(space.isLost == true)
      #expect(try mappingError { _ = try space.byte(8 * page) }.code == .lost)
    }
    let space = try Reservation(atLeast: 16 * page, preferring: 16 * page)
    #expect(space.isLost == false)
  }

  @Test("A mapping that was moved is still guarded, at its new place")
  func moved() throws {
    let file = try scratch.file(pages: 2)
    var mapping = try MutableMapping(file, length: page)
    try mapping.resize(to: 2000 * page)
    #expect(try mapping.byte(page) == 2)
    #expect(try mappingError { _ = try mapping.byte(1999 * page) }.code == .lost)
  }

  @Test("errno is as it was before the fault")
  func errnoIsKept() throws {
    let file = try scratch.file(pages: 1)
    let mapping = try Mapping(file, length: page)
    try file.setSize(0)
    let bytes = mapping.bytes
    errno = 77
    let byte = bytes.byte(0)
    let after = errno
    #expect(byte == 0)
    #expect(after == 77)
    #expect(mapping.isLost == true)
  }

  @Test("There is room for more mappings than the first block of the table holds")
  func manyMappings() throws {
    final class Box {
      let mapping: Mapping
      init(_ mapping: consuming Mapping) { self.mapping = mapping }
      func touch() throws -> UInt8 { try mapping.byte(0) }
      var isLost: Bool { mapping.isLost }
    }
    let kept = try scratch.file("kept", pages: 1)
    let cut = try scratch.file("cut", pages: 1)
    var boxes: [Box] = []
    for number in 0..<300 {
      let isCut = number.isMultiple(of: 3)
      boxes.append(Box(isCut ? try Mapping(cut, length: page) : try Mapping(kept, length: page)))
    }
    try cut.setSize(0)
    for (number, box) in boxes.enumerated() where number.isMultiple(of: 3) {
      #expect(throws: MappingError.lost(scratch.path("cut"))) { try box.touch() }
    }
    for (number, box) in boxes.enumerated() {
      #expect(box.isLost == number.isMultiple(of: 3))
    }
  }

  @Test("More pages can be lost than a process may have mappings")
  func manyPages() async throws {
    let limit = try Int(
      kernelText("/proc/sys/vm/max_map_count").trimmingCharacters(in: .whitespacesAndNewlines))!
    try #require(limit < 1 << 20)
    await #expect(processExitsWith: .success) {
      let limit = try Int(
        kernelText("/proc/sys/vm/max_map_count").trimmingCharacters(in: .whitespacesAndNewlines))!
      let pages = 2 * limit + 1000
      let file = try File(unnamedIn: "/tmp")
      let mapping = try Mapping(file, length: pages * PageSize.bytes)
      var sum = 0
      // Every second page, so that no two zero pages become one mapping.
      for page in stride(from: 0, to: pages, by: 2) { sum += Int(mapping.bytes.byte(page * PageSize.bytes)) }
      #expect(sum == 0)
      #expect(mapping.isLost == true)
    }
  }

  @Test("Many threads fault, map and unmap at once; each sees its own loss and no other")
  func threads() throws {
    let scratch = scratch
    let page = page
    let kept = try scratch.file("kept", pages: 1)
    _ = try scratch.file("cut", pages: 1).setSize(0)
    #expect(try kept.status().size == Int64(page))
    let faults = Shared([Bool]())
    onThreads(8) { index in
      var isRight = true
      for _ in 0..<50 {
        do {
          let keptFile = try File(opening: scratch.path("kept"), access: .readOnly)
          let cutFile = try File(opening: scratch.path("cut"), access: .readOnly)
          let good = try Mapping(keptFile, length: page)
          let bad = try Mapping(cutFile, length: page)
          isRight = isRight && bad.bytes.byte(index) == 0 && good.bytes.byte(index) == 1
          isRight = isRight && bad.isLost && !good.isLost
        } catch {
          isRight = false
        }
      }
      faults.with { $0.append(isRight) }
    }
    faults.with { #expect($0 == [Bool](repeating: true, count: 8)) }
  }

  @Test("All threads that read one mapping learn of the loss")
  func readers() throws {
    final class Subject: Sendable {
      let file: File
      let space: Reservation
      let started = Atomic<Int>(0)
      let lost = Atomic<Int>(0)
      let wrong = Atomic<Int>(0)

      init(_ file: consuming File) throws {
        self.file = file
        let length = 64 * PageSize.bytes
        space = try Reservation(atLeast: length, preferring: length)
        try space.place(
          self.file, fileOffset: 0, at: 0, length: length, protection: .read, sharing: .shared)
      }

      /// Reads the last page until it is lost. No zero may be taken for its byte.
      func read() {
        started.add(1, ordering: .relaxed)
        do {
          while true {
            if try space.byte(63 * PageSize.bytes) != 64 { wrong.add(1, ordering: .relaxed) }
          }
        } catch {
          lost.add(1, ordering: .relaxed)
        }
      }

      func truncate() {
        while started.load(ordering: .relaxed) < 3 {}
        do { try file.setSize(0) } catch { wrong.add(1, ordering: .relaxed) }
      }
    }
    let subject = try Subject(scratch.file(pages: 64))
    onThreads(4) { index in index == 3 ? subject.truncate() : subject.read() }
    #expect(subject.lost.load(ordering: .relaxed) == 3)
    #expect(subject.wrong.load(ordering: .relaxed) == 0)
  }
}
