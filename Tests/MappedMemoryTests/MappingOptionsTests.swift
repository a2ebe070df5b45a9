import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

@Suite("Options of a mapping")
struct MappingOptionsTests {
  let scratch: Scratch
  let page = PageSize.bytes

  init() throws { scratch = try Scratch() }

  @Test("Prefaulted pages are in the page table and in memory; others are not")
  func prefault() throws {
    let file = try scratch.file(pages: 16)
    let lazy = try Mapping(file, length: 16 * page)
    #expect(try lazy.kernelView()?.residentBytes == 0)
    let eager = try Mapping(file, length: 16 * page, options: .prefault)
    #expect(try eager.kernelView()?.residentBytes == 16 * page)
    #expect(try eager.residentPages(at: 0, length: 16 * page) == 16)
  }

  @Test("Prefaulting gives anonymous memory its pages")
  func prefaultAnonymous() throws {
    let lazy = try MutableMapping(anonymous: 16 * page)
    let eager = try MutableMapping(anonymous: 16 * page, options: .prefault)
    #expect(try lazy.residentPages(at: 0, length: 16 * page) == 0)
    #expect(try eager.residentPages(at: 0, length: 16 * page) == 16)
  }

  @Test("Nonblocking prefault is accepted and does nothing, as documented")
  func prefaultNonblocking() throws {
    let file = try scratch.file(pages: 16)
    let mapping = try Mapping(file, length: 16 * page, options: .prefaultNonblocking)
    #expect(try mapping.kernelView()?.residentBytes == 0)
    #expect(try mapping.byte(15 * page) == 16)
  }

  @Test("A locked mapping is in memory and stays")
  func locked() throws {
    let mapping = try MutableMapping(anonymous: 4 * page, options: .locked)
    let view = try #require(try mapping.kernelView())
    #expect(view.flags.contains("lo"))
    #expect(try mapping.residentPages(at: 0, length: 4 * page) == 4)
  }

  @Test("No swap space is counted for a mapping without reserve")
  func noReserve() throws {
    let mapping = try MutableMapping(anonymous: page, options: .noReserve)
    let other = try MutableMapping(anonymous: page)
    #expect(try mapping.kernelView()?.flags.contains("nr") == true)
    #expect(try other.kernelView()?.flags.contains("nr") == false)
  }

  #if arch(x86_64)
    @Test("An address in the first 2 GiB")
    func low32Bit() throws {
      let mapping = try MutableMapping(anonymous: page, options: .low32Bit)
      #expect(mapping.address < 1 << 31)
    }
  #endif

  @Test("Memory that grows downwards when the page below is touched")
  func growsDown() async {
    await #expect(processExitsWith: .success) {
      let page = PageSize.bytes
      // There is room below, more than the gap that the kernel keeps to a neighbour.
      let room = try Reservation(atLeast: 64 << 20, preferring: 64 << 20)
      try room.placeAnonymous(
        at: room.length - page, length: page, protection: [.read, .write], options: .growsDown)
      try room.vacateForGrowth(below: room.length - page)
      let start = room.length - page
      #expect(try room.kernelView(start)?.flags.contains("gd") == true)
      #expect(try room.kernelView(start - page) == nil)
      try room.set(start - 1, to: 7)
      #expect(try room.kernelView(start - page)?.permissions == "rw-p")
      #expect(try room.byte(start - 1) == 7)
    }
  }

  @Test("A range is missing in children unless it is to be inherited")
  func inheritance() throws {
    let file = try scratch.file(pages: 1)
    let own = try Mapping(file, length: page)
    let inherited = try Mapping(file, length: page, options: .inheritedByChildren)
    #expect(try own.kernelView()?.flags.contains("dc") == true)
    #expect(try inherited.kernelView()?.flags.contains("dc") == false)
  }

  @Test("Options have no effect on each other's bits")
  func bits() {
    let all: [MappingOptions] = [
      .prefault, .prefaultNonblocking, .locked, .noReserve, .low32Bit, .growsDown, .inheritedByChildren,
    ]
    #expect(Set(all.map(\.rawValue)).count == all.count)
    #expect(all.allSatisfy { $0.rawValue.nonzeroBitCount == 1 })
  }
}

extension Reservation {
  /// Unmaps all address space below an offset, which the module never does: memory
  /// grows only into unmapped space.
  fileprivate borrowing func vacateForGrowth(below offset: Int) throws {
    try #require(unsafe munmap(base, offset) == 0)
  }
}
