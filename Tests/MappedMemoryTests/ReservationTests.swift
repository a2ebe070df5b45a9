import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

@Suite("Reserved address space")
struct ReservationTests {
  let scratch: Scratch
  let page = PageSize.bytes
  let both: Protection = [.read, .write]

  init() throws { scratch = try Scratch() }

  @Test("Address space is held without memory, and cannot be touched")
  func emptySpace() throws {
    let space = try Reservation(atLeast: 1 << 30, preferring: 1 << 36)
    #expect(space.length == 1 << 36)
    let view = try #require(try space.kernelView())
    #expect(view.permissions == "---p")
    #expect(view.flags.contains("nr"))
    #expect(view.residentBytes == 0)
    #expect(try Reservation(atLeast: 1, preferring: 1).length == page)
  }

  @Test("Growth keeps the address and the old content")
  func growth() throws {
    let file = try scratch.file(pages: 2)
    let space = try Reservation(atLeast: 64 * page, preferring: 64 * page)
    try space.place(file, fileOffset: 0, at: 0, length: 2 * page, protection: both, sharing: .shared)
    try space.set(5, to: 55)
    let base = space.address
    for pages in 3...20 {
      try file.setSize(Int64(pages * page))
      let old = pages - 1
      try space.place(
        file, fileOffset: Int64(old * page), at: old * page, length: page, protection: both,
        sharing: .shared)
      try space.set(old * page, to: UInt8(pages))
      #expect(try space.byte(5) == 55)
    }
    #expect(space.address == base)
    #expect(try file.bytes(1, at: 5) == [55])
    #expect(try file.bytes(1, at: 19 * page) == [20])
    #expect(try space.byte(page) == 2)
  }

  @Test("Placing again replaces: another range, another file, another protection")
  func placingTwice() throws {
    let first = try scratch.file("first", pages: 4)
    let second = try scratch.file("second", pages: 1)
    let space = try Reservation(atLeast: 4 * page, preferring: 4 * page)
    try space.place(first, fileOffset: 0, at: 0, length: 2 * page, protection: both, sharing: .shared)
    try space.set(1, to: 11)
    try space.place(first, fileOffset: 0, at: 0, length: 4 * page, protection: .read, sharing: .shared)
    #expect(try space.byte(1) == 11)
    #expect(try space.byte(3 * page) == 4)
    #expect(try space.kernelView()?.permissions == "r--s")
    try second.write([200], at: 0)
    try space.place(second, fileOffset: 0, at: page, length: page, protection: .read, sharing: .shared)
    #expect(try space.byte(page) == 200)
    #expect(try space.byte(2 * page) == 3)
  }

  @Test("A part can be vacated; its neighbours and the space stay")
  func vacating() throws {
    let file = try scratch.file(pages: 3)
    let space = try Reservation(atLeast: 8 * page, preferring: 8 * page)
    try space.place(file, fileOffset: 0, at: 0, length: 3 * page, protection: both, sharing: .shared)
    try space.vacate(at: page, length: page)
    #expect(try space.kernelView(page)?.permissions == "---p")
    #expect(try space.byte(0) == 1)
    #expect(try space.byte(2 * page) == 3)
    try space.vacate(at: 0, length: 8 * page)
    try space.vacate(at: 0, length: 0)
    #expect(try space.kernelView()?.permissions == "---p")
  }

  @Test("Anonymous memory can be placed, and protected piece by piece")
  func anonymous() throws {
    let space = try Reservation(atLeast: 8 * page, preferring: 8 * page)
    try space.placeAnonymous(at: 2 * page, length: 3 * page, protection: both)
    try space.set(3 * page, to: 9)
    try space.protect(at: 3 * page + 1, length: 1, .read)
    #expect(try space.kernelView(2 * page)?.permissions == "rw-p")
    #expect(try space.kernelView(3 * page)?.permissions == "r--p")
    #expect(try space.kernelView(4 * page)?.permissions == "rw-p")
    #expect(try space.byte(3 * page) == 9)
    try space.protect(at: 3 * page, length: page, .none)
    #expect(try space.kernelView(3 * page)?.permissions == "---p")
  }

  @Test("Private placement keeps changes from the file")
  func privatePlacement() throws {
    let file = try scratch.file(pages: 1)
    let space = try Reservation(atLeast: page, preferring: page)
    try space.place(file, fileOffset: 0, at: 0, length: page, protection: both, sharing: .private)
    try space.set(0, to: 99)
    #expect(try space.byte(0) == 99)
    #expect(try file.bytes(1) == [1])
  }

  @Test("Nothing is placed outside of the space, or off a page's start")
  func boundsAndAlignment() throws {
    let file = try scratch.file(pages: 4)
    let space = try Reservation(atLeast: 4 * page, preferring: 4 * page)
    func place(_ fileOffset: Int64, _ offset: Int, _ length: Int) throws {
      try space.place(
        file, fileOffset: fileOffset, at: offset, length: length, protection: .read, sharing: .shared)
    }
    for (offset, length) in [
      (4 * page, 1), (0, 4 * page + 1), (-page, page), (3 * page, 2 * page), (0, .max),
    ] {
      let error = try mappingError { try place(0, offset, length) }
      #expect(error.code == .outOfBounds(offset: offset, length: length, available: 4 * page))
      #expect(error.path == scratch.path())
    }
    #expect(try mappingError { try place(0, 0, 0) }.errno == .invalidArgument)
    #expect(try mappingError { try place(1, 0, page) }.code == .misaligned(value: 1))
    #expect(try mappingError { try place(0, 1, page) }.code == .misaligned(value: 1))
    #expect(try mappingError { try place(-4096, 0, page) }.code == .misaligned(value: -4096))
    for (offset, length) in [(-1, 1), (4 * page, 1), (1, .max), (0, -1)] {
      #expect(throws: MappingError.self) { try space.protect(at: offset, length: length, .read) }
      #expect(throws: MappingError.self) { try space.sync(at: offset, length: length) }
      #expect(throws: MappingError.self) { try space.advise(at: offset, length: length, .normal) }
      #expect(throws: MappingError.self) { try space.residentPages(at: offset, length: length) }
      #expect(throws: MappingError.self) { try space.lock(at: offset, length: length) }
      #expect(throws: MappingError.self) { try space.unlock(at: offset, length: length) }
      #expect(throws: MappingError.self) { try space.vacate(at: offset, length: length) }
    }
    #expect(try space.kernelView()?.permissions == "---p")
  }

  @Test("What is placed is missing in children, both files and memory, unless asked for")
  func forkFlags() throws {
    let file = try scratch.file(pages: 1)
    let space = try Reservation(atLeast: 8 * page, preferring: 8 * page)
    func isKept(_ number: Int) throws -> Bool {
      try space.kernelView(number * page)?.flags.contains("dc") == true
    }
    try space.place(file, fileOffset: 0, at: 0, length: page, protection: both, sharing: .shared)
    try space.placeAnonymous(at: 2 * page, length: page, protection: both)
    try space.place(
      file, fileOffset: 0, at: 4 * page, length: page, protection: both, sharing: .shared,
      options: .inheritedByChildren)
    try space.placeAnonymous(at: 6 * page, length: page, protection: both)
    try space.vacate(at: 6 * page, length: page)
    #expect(try (0..<8).map(isKept) == [true, true, true, true, false, true, true, true])
  }

  @Test("At least as much address space is left as is reserved, unless the minimum is more")
  func halving() async {
    await #expect(processExitsWith: .success) {
      // The limit includes what is in use: terabytes where a sanitizer has its tables.
      let pages = try kernelText("/proc/self/statm").split(separator: " ").first.flatMap { UInt($0) }
      let used = try #require(pages) * UInt(PageSize.bytes)
      try limit(.addressSpace, to: used + 3 << 34, dropPrivileges: false)
      let space = try Reservation(atLeast: 1 << 30, preferring: 1 << 37)
      #expect(space.length == 1 << 34)
      // The minimum is reserved even if little is left.
      #expect(try Reservation(atLeast: 30 << 30, preferring: 1 << 38).length == 30 << 30)
      let error = try mappingError { _ = try Reservation(atLeast: 1 << 36, preferring: 1 << 38) }
      #expect(error.errno == .noMemory)
      #expect(error.operation == "mmap")
    }
  }

  @Test("Senseless sizes are refused")
  func senseless() throws {
    for (least, preferred) in [(0, 0), (-1, 1), (2, 1), (1, .max)] {
      let error = try mappingError { _ = try Reservation(atLeast: least, preferring: preferred) }
      #expect(error.errno == .invalidArgument)
    }
  }

  // MARK: Populating

  @Test("Populating gives a sparse file its storage, and keeps the bytes")
  func populating() throws {
    let file = try scratch.file(pages: 1)
    try file.setSize(Int64(64 * page))
    let space = try Reservation(atLeast: 64 * page, preferring: 64 * page)
    try space.place(file, fileOffset: 0, at: 0, length: 64 * page, protection: both, sharing: .shared)
    try space.advise(at: 0, length: 64 * page, .populateWrite)
    #expect(try space.kernelView()?.residentBytes == 64 * page)
    #expect(try space.byte(0) == 1)
    try space.sync(at: 0, length: 64 * page)
    #expect(try file.status().allocatedBytes >= Int64(64 * page))
  }

  @Test("Populating what has no storage is an error, not a signal, and loses nothing")
  func populatingPastTheEnd() throws {
    let file = try scratch.file(pages: 1)
    let space = try Reservation(atLeast: 4 * page, preferring: 4 * page)
    try space.place(file, fileOffset: 0, at: 0, length: 4 * page, protection: both, sharing: .shared)
    let error = try mappingError { try space.advise(at: 0, length: 4 * page, .populateWrite) }
    #expect(error.errno == .badAddress)
    #expect(error.description.contains("disk may be full"))
    #expect(space.isLost == false)
    #expect(unsafe space.lostFlag.pointee.load(ordering: .relaxed) == 0)
  }

  @Test("Populating what cannot be written is an error")
  func populatingReadOnly() throws {
    let space = try Reservation(atLeast: 4 * page, preferring: 4 * page)
    let error = try mappingError { try space.advise(at: 0, length: page, .populateWrite) }
    #expect([.invalidArgument, .badAddress, .noMemory].contains(error.errno))
  }
}
