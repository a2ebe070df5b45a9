import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

@Suite("Mapping a file")
struct MappingTests {
  let scratch: Scratch
  let page = PageSize.bytes

  init() throws { scratch = try Scratch() }

  @Test("The page size is the system's")
  func pageSize() {
    #expect(PageSize.bytes == sysconf(Int32(_SC_PAGESIZE)))
    #expect(PageSize.bytes & (PageSize.bytes - 1) == 0)
    #expect(PageSize.roundUp(PageSize.bytes + 1) == 2 * PageSize.bytes)
    #expect(PageSize.roundDown(PageSize.bytes + 1) == PageSize.bytes)
    #expect(PageSize.roundUp(.max) == nil)
  }

  @Test("The kernel chooses the address; two mappings do not share one")
  func kernelChooses() throws {
    let file = try scratch.file(pages: 1)
    let first = try Mapping(file, length: page)
    let second = try Mapping(file, length: page)
    #expect(first.address != second.address)
    #expect(first.address % UInt(page) == 0)
  }

  @Test("Any length can be mapped, from any page of the file", arguments: [1, 100, 4095, 4096, 4097, 9000])
  func lengthsAndOffsets(length: Int) throws {
    let file = try scratch.file(pages: 4)
    let mapping = try Mapping(file, offset: Int64(page), length: length)
    #expect(mapping.length == length)
    #expect(mapping.path == scratch.path())
    #expect(mapping.bytes.byteCount == length)
    #expect(try mapping.byte(0) == 2)
    #expect(try mapping.byte(length - 1) == UInt8(2 + (length - 1) / page))
  }

  @Test("A shared mapping and the file are the same bytes, both ways")
  func shared() throws {
    let file = try scratch.file(pages: 1)
    var mapping = try MutableMapping(file, length: page)
    try mapping.set(10, to: 77)
    #expect(try file.bytes(1, at: 10) == [77])
    try file.write([88], at: 11)
    #expect(try mapping.byte(11) == 88)
    let reader = try Mapping(file, length: page)
    #expect(try reader.byte(10) == 77)
  }

  @Test("What is written to a private mapping never reaches the file")
  func privateChanges() throws {
    let file = try scratch.file(pages: 2)
    do {
      var mapping = try MutableMapping(file, length: 2 * page, sharing: .private)
      try mapping.set(0, to: 99)
      try mapping.sync(at: 0, length: 2 * page)
      #expect(try mapping.byte(0) == 99)
      #expect(try mapping.byte(page) == 2)
      #expect(try file.bytes(1) == [1])
      #expect(try Mapping(file, length: page).byte(0) == 1)
    }
    #expect(try file.bytes(1) == [1])
  }

  @Test("A file opened read-only can be changed in private")
  func privateReadOnly() throws {
    _ = try scratch.file(pages: 1)
    let file = try File(opening: scratch.path(), access: .readOnly)
    var mapping = try MutableMapping(file, length: page, sharing: .private)
    try mapping.set(0, to: 99)
    #expect(try mapping.byte(0) == 99)
    #expect(try file.bytes(1) == [1])
  }

  @Test("Anonymous memory is zeroed, and written without a file")
  func anonymous() throws {
    var mapping = try MutableMapping(anonymous: 3 * page + 1)
    #expect(mapping.path == nil)
    #expect(try mapping.byte(3 * page) == 0)
    try mapping.set(3 * page, to: 5)
    #expect(try mapping.byte(3 * page) == 5)
    #expect(try mapping.kernelView()?.permissions == "rw-p")
  }

  @Test("A span of a mapping reads and writes it")
  func spans() throws {
    var mapping = try MutableMapping(anonymous: page)
    var bytes = mapping.mutableBytes
    #expect(bytes.byteCount == page)
    bytes.storeBytes(of: 0x0102_0304, toByteOffset: 8, as: UInt32.self)
    #expect(mapping.bytes.byte(8) == 4)
    #expect(mapping.isLost == false)
  }

  @Test("The mapping outlives the file value, and the file's name")
  func outlivesFile() throws {
    let mapping: Mapping
    do {
      let file = try scratch.file(pages: 1)
      mapping = try Mapping(file, length: page)
    }
    try File.remove(scratch.path())
    #expect(try mapping.byte(0) == 1)
  }

  @Test("The end of the value unmaps, and only that")
  func unmaps() throws {
    // Three pages side by side: if too much is unmapped, a neighbour goes too.
    let space = try Reservation(atLeast: 3 * page, preferring: 3 * page)
    try space.placeAnonymous(at: page, length: page, protection: .read)
    #expect(try space.kernelView(page)?.permissions == "r--p")
    let file = try scratch.file(pages: 1)
    let mapping = try Mapping(file, length: page)
    let base = mapping.address
    #expect(try inode(at: base) == file.status().identity.inode)
    _ = consume mapping
    #expect(try inode(at: base) != file.status().identity.inode)
    #expect(try space.kernelView(page)?.permissions == "r--p")
  }

  /// The inode of the file mapped at an address; `nil` where nothing is.
  private func inode(at wanted: UInt) throws -> UInt64? {
    for line in try kernelText("/proc/self/maps").split(separator: "\n") {
      let words = line.split(separator: " ")
      let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
      if bounds[0] <= wanted && wanted < bounds[1] { return UInt64(words[4]) }
    }
    return nil
  }

  // MARK: Protection

  @Test("The kernel enforces what the types say", arguments: [false, true])
  func permissions(executable: Bool) throws {
    let file = try scratch.file(pages: 1)
    let reader = try Mapping(file, length: page, executable: executable)
    let writer = try MutableMapping(file, length: page, executable: executable)
    #expect(try reader.kernelView()?.permissions == (executable ? "r-xs" : "r--s"))
    #expect(try writer.kernelView()?.permissions == (executable ? "rwxs" : "rw-s"))
  }

  @Test("Bytes of an executable mapping run")
  func execution() throws {
    #if arch(x86_64)
      let code: [UInt8] = [0xB8, 42, 0, 0, 0, 0xC3]  // mov eax, 42; ret
    #elseif arch(arm64)
      let code: [UInt8] = [0x40, 0x05, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6]  // mov w0, 42; ret
    #endif
    let file = try File(opening: scratch.path(), access: .readWrite, create: true)
    try file.write(code, at: 0)
    let mapping = try Mapping(file, length: code.count, executable: true)
    let function = unsafe unsafeBitCast(mapping.base, to: (@convention(c) () -> Int32).self)
    #expect(function() == 42)
  }

  @Test("A mapping changes between read-only and writable, keeping its bytes")
  func changingProtection() throws {
    let file = try scratch.file(pages: 1)
    var mapping = try MutableMapping(file, length: page)
    try mapping.set(0, to: 50)
    let base = mapping.address
    let reader = try mapping.readOnly()
    #expect(try KernelView(at: base)?.permissions == "r--s")
    #expect(try reader.byte(0) == 50)
    var writer = try reader.writable()
    try writer.set(0, to: 51)
    #expect(try file.bytes(1) == [51])
    #expect(writer.address == base)
  }

  @Test("A write to an address of a read-only mapping kills; the types offer none")
  func readOnlyIsEnforced() async {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      // A sanitizer has a handler of its own for it.
      signal(SIGSEGV, SIG_DFL)
      let scratch = try Scratch()
      let file = try scratch.file(pages: 1)
      try FileManager.default.removeItem(atPath: scratch.directory.string)
      let mapping = try Mapping(file, length: PageSize.bytes)
      unsafe UnsafeMutableRawPointer(mutating: mapping.base).storeBytes(of: 1, as: UInt8.self)
    }
  }

  // MARK: Other lengths

  @Test("Resizing keeps the bytes: longer, shorter, over more of the file")
  func resizing() throws {
    let file = try scratch.file(pages: 4)
    var mapping = try MutableMapping(file, length: page)
    try mapping.set(0, to: 60)
    mapping = try mapping.resized(to: 4 * page)
    #expect(mapping.length == 4 * page)
    #expect(try mapping.byte(0) == 60)
    #expect(try mapping.byte(3 * page) == 4)
    try mapping.resize(to: page)
    #expect(mapping.length == page)
    #expect(try mapping.byte(0) == 60)

    var memory = try MutableMapping(anonymous: page)
    try memory.set(1, to: 61)
    try memory.resize(to: 512 * page)
    #expect(try memory.byte(1) == 61)
    #expect(try memory.byte(511 * page) == 0)

    let reader = try Mapping(file, length: page).resized(to: 2 * page)
    #expect(try reader.byte(page) == 2)
  }

  @Test("A refused resize leaves the mapping as it was, still guarded")
  func refusedResize() throws {
    let file = try scratch.file(pages: 2)
    var mapping = try MutableMapping(file, length: 2 * page)
    let error = try mappingError { try mapping.resize(to: 1 << 60) }
    #expect([.noMemory, .invalidArgument].contains(error.errno))
    #expect(error.operation == "mremap")
    #expect(try mappingError { try mapping.resize(to: 0) }.errno == .invalidArgument)
    #expect(mapping.length == 2 * page)
    #expect(try mapping.byte(page) == 2)
    try file.setSize(0)
    #expect(try mappingError { _ = try mapping.byte(page) }.code == .lost)
  }
}
