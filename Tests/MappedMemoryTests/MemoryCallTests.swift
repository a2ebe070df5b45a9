import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

@Suite("Calls on mapped memory")
struct MemoryCallTests {
  let scratch: Scratch
  let page = PageSize.bytes

  init() throws { scratch = try Scratch() }

  // MARK: msync

  @Test("msync takes any range inside, in every mode", arguments: [SyncMode.wait, .start], [false, true])
  func sync(mode: SyncMode, invalidate: Bool) throws {
    let file = try scratch.file(pages: 3)
    var mapping = try MutableMapping(file, length: 3 * page)
    try mapping.set(page + 7, to: 70)
    // From the middle of one page to the middle of the next.
    try mapping.sync(at: page + 5, length: page, mode: mode, invalidate: invalidate)
    try mapping.sync(at: 3 * page, length: 0, mode: mode)
    #expect(try file.bytes(1, at: page + 7) == [70])
  }

  @Test("A sync that waits gives a sparse page its blocks; before it there are none")
  func syncWrites() throws {
    let file = try File(opening: scratch.path(), access: .readWrite, create: true)
    try file.setSize(Int64(page))
    var mapping = try MutableMapping(file, length: page)
    #expect(try file.status().allocatedBytes == 0)
    try mapping.set(0, to: 1)
    try mapping.sync(at: 0, length: page, mode: .wait)
    #expect(try file.status().allocatedBytes >= 4096)
  }

  @Test("Locked pages cannot be invalidated: EBUSY")
  func invalidateLocked() throws {
    let file = try scratch.file(pages: 1)
    let mapping = try MutableMapping(file, length: page)
    try mapping.lock(at: 0, length: page)
    let error = try mappingError { try mapping.sync(at: 0, length: page, invalidate: true) }
    #expect(error.errno == .resourceBusy)
    #expect(error.description.contains("unlock it first"))
    try mapping.unlock(at: 0, length: page)
    try mapping.sync(at: 0, length: page, invalidate: true)
  }

  // MARK: mincore, mlock

  @Test("Residency counts the touched pages of anonymous memory")
  func residency() throws {
    var mapping = try MutableMapping(anonymous: 8 * page)
    try mapping.advise(at: 0, length: 8 * page, .normal)
    #expect(try mapping.residentPages(at: 0, length: 8 * page) == 0)
    try mapping.set(3 * page, to: 1)
    try mapping.set(5 * page + 9, to: 1)
    #expect(try mapping.residentPages(at: 0, length: 8 * page) == 2)
    #expect(try mapping.residentPages(at: 3 * page + 1, length: 1) == 1)
    #expect(try mapping.residentPages(at: 4 * page, length: page) == 0)
    #expect(try mapping.residentPages(at: 4 * page, length: 0) == 0)
  }

  @Test("The residency of a range that is asked for in several steps")
  func longResidency() throws {
    let space = try Reservation(atLeast: 3 << 30, preferring: 3 << 30)
    try space.placeAnonymous(at: 0, length: 3 << 30, protection: [.read, .write], options: .noReserve)
    try space.advise(at: 0, length: 3 << 30, .normal)
    for offset in [0, (1 << 30) - 1, 1 << 30, (3 << 30) - 1] { try space.set(offset, to: 1) }
    // Large pages, where the system uses them, count as all their small ones.
    let resident = try space.residentPages(at: 0, length: 3 << 30)
    let whole =
      try space.residentPages(at: 0, length: 1 << 30)
      + space.residentPages(at: 1 << 30, length: 1 << 30) + space.residentPages(at: 2 << 30, length: 1 << 30)
    #expect(resident == whole)
    #expect(resident >= 4)
    #expect(try space.residentPages(at: (1 << 30) - 1, length: 2) == 2)
  }

  @Test("Locking brings the range in and keeps it; unlocking lets it go")
  func lockingMemory() throws {
    let mapping = try MutableMapping(anonymous: 8 * page)
    try mapping.lock(at: page + 1, length: page)
    #expect(try mapping.residentPages(at: 0, length: 8 * page) == 2)
    #expect(try mapping.kernelView(2 * page)?.flags.contains("lo") == true)
    #expect(try mapping.kernelView(3 * page)?.flags.contains("lo") == false)
    try mapping.unlock(at: page, length: 2 * page)
    #expect(try mapping.kernelView(2 * page)?.flags.contains("lo") == false)
  }

  // MARK: madvise

  @Test(
    "Advice reaches the kernel",
    arguments: [
      (AccessPattern.random, "rr"), (.sequential, "sr"), (.dontFork, "dc"), (.wipeOnFork, "wf"),
    ])
  func flags(pattern: AccessPattern, flag: String) throws {
    let mapping = try MutableMapping(anonymous: page, options: .inheritedByChildren)
    #expect(try mapping.kernelView()?.flags.contains(flag) == false)
    try mapping.advise(at: 0, length: page, pattern)
    #expect(try mapping.kernelView()?.flags.contains(flag) == true)
    let undo: AccessPattern =
      switch pattern {
      case .dontFork: .doFork
      case .wipeOnFork: .keepOnFork
      default: .normal
      }
    try mapping.advise(at: 0, length: page, undo)
    #expect(try mapping.kernelView()?.flags.contains(flag) == false)
  }

  @Test("Populating by advice enters all pages, for reading or writing")
  func populate() throws {
    let file = try scratch.file(pages: 8)
    let mapping = try MutableMapping(file, length: 8 * page)
    try mapping.advise(at: 0, length: 8 * page, .populateRead)
    #expect(try mapping.kernelView()?.residentBytes == 8 * page)
    let memory = try MutableMapping(anonymous: 8 * page)
    try memory.advise(at: page, length: 2 * page, .populateWrite)
    #expect(try memory.residentPages(at: 0, length: 8 * page) == 2)
    #expect(try memory.byte(page) == 0)
  }

  @Test("Memory that is not needed becomes zeros; a private page shows the file again")
  func dontNeed() throws {
    var memory = try MutableMapping(anonymous: page)
    try memory.set(0, to: 9)
    try memory.advise(at: 0, length: page, .dontNeed)
    #expect(try memory.byte(0) == 0)
    let file = try scratch.file(pages: 1)
    var copy = try MutableMapping(file, length: page, sharing: .private)
    try copy.set(0, to: 9)
    try copy.advise(at: 0, length: page, .dontNeed)
    #expect(try copy.byte(0) == 1)
    var shared = try MutableMapping(file, length: page)
    try shared.set(0, to: 9)
    try shared.advise(at: 0, length: page, .dontNeed)
    #expect(try shared.byte(0) == 9)
  }

  @Test("Paging out takes pages from the page table; willNeed is a hint")
  func pagingOut() throws {
    let file = try scratch.file(pages: 8)
    try file.sync()
    let mapping = try Mapping(file, length: 8 * page, options: .prefault)
    #expect(try mapping.kernelView()?.residentBytes == 8 * page)
    try mapping.advise(at: 0, length: 8 * page, .pageOut)
    #expect(try mapping.kernelView()?.residentBytes == 0)
    try mapping.advise(at: 0, length: 8 * page, .willNeed)
    try mapping.advise(at: 0, length: 8 * page, .cold)
    #expect(try mapping.byte(7 * page) == 8)
  }

  @Test("Free memory keeps what is written to it after the call")
  func free() throws {
    var memory = try MutableMapping(anonymous: page)
    try memory.set(0, to: 9)
    try memory.advise(at: 0, length: page, .free)
    try memory.set(0, to: 10)
    #expect(try memory.byte(0) == 10)
    let file = try scratch.file(pages: 1)
    let mapping = try MutableMapping(file, length: page)
    let error = try mappingError { try mapping.advise(at: 0, length: page, .free) }
    #expect(error.errno == .invalidArgument)
    #expect(error.description.contains("advice"))
  }

  @Test("The kernel knows every advice")
  func everyAdvice() throws {
    for pattern in AccessPattern.allCases {
      let memory = try MutableMapping(anonymous: page)
      #expect(throws: Never.self) { try memory.advise(at: 0, length: page, pattern) }
    }
  }
}
