import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

@Suite("Files")
struct FileTests {
  let scratch: Scratch
  let page = PageSize.bytes

  init() throws { scratch = try Scratch() }

  // MARK: Opening

  @Test("Only regular files are opened; a pipe does not make the caller wait")
  func notRegular() throws {
    try #require(unsafe mkfifo(scratch.path("pipe").string, 0o600) == 0)
    for access in [File.Access.readOnly, .readWrite] {
      for path in [scratch.path("pipe"), FilePath("/dev/null")] {
        let error = try mappingError { _ = try File(opening: path, access: access) }
        #expect(error.code == .notRegularFile)
        #expect(error.path == path)
        #expect(error.errno == .operationNotSupportedByDevice)
      }
    }
    #expect(
      try mappingError { _ = try File(opening: scratch.directory, access: .readOnly) }.code == .notRegularFile
    )
    #expect(
      try mappingError { _ = try File(opening: scratch.directory, access: .readWrite) }.errno == .isDirectory)
  }

  @Test("A file is created when asked for, with the mode asked for")
  func creating() throws {
    let file = try File(opening: scratch.path(), access: .readWrite, create: true, mode: 0o600)
    #expect(try file.status().size == 0)
    #expect(try file.status().linkCount == 1)
    let mode = try FileManager.default.attributesOfItem(atPath: scratch.path().string)[.posixPermissions]
    #expect(mode as? Int == 0o600)
    try file.write([1, 2, 3], at: 0)
    let again = try File(opening: scratch.path(), access: .readOnly, create: true)
    #expect(try again.bytes(10) == [1, 2, 3])
  }

  @Test("The descriptor is closed once, and not left to programs that are started")
  func descriptor() throws {
    let number: Int32
    do {
      let file = try scratch.file(pages: 1)
      number = file.descriptor
      #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
      let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
      #expect(link == scratch.path().string)
    }
    let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
    #expect(link != scratch.path().string)

    let other = try File(opening: scratch.path(), access: .readOnly)
    let closed = other.descriptor
    try other.close()
    let after = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(closed)")
    #expect(after != scratch.path().string)
  }

  // MARK: Identity

  @Test("Two names of a file have one identity; a file put in its place has another")
  func identity() throws {
    let file = try scratch.file(pages: 1)
    let identity = try file.status().identity
    try FileManager.default.linkItem(atPath: scratch.path().string, toPath: scratch.path("second").string)
    #expect(try File.identity(of: scratch.path()) == identity)
    #expect(try File.identity(of: scratch.path("second")) == identity)
    #expect(try file.status().linkCount == 2)
    _ = try scratch.file("new", pages: 1)
    try File.rename(scratch.path("new"), to: scratch.path(), replacing: true)
    #expect(try File.identity(of: scratch.path()) != identity)
    try File.remove(scratch.path("second"))
    #expect(try file.status().linkCount == 0)
    #expect(try File.identity(of: scratch.path("second")) == nil)
    #expect(try File.identity(of: scratch.path().appending("below")) == nil)
    #expect(throws: MappingError.self) {
      try File.identity(of: FilePath(String(repeating: "x", count: 5000)))
    }
  }

  @Test("Renaming without replacing leaves what is there")
  func renaming() throws {
    _ = try scratch.file("first", pages: 1)
    _ = try scratch.file("second", pages: 2)
    let error = try mappingError {
      try File.rename(scratch.path("first"), to: scratch.path("second"), replacing: false)
    }
    #expect(error.errno == .fileExists)
    #expect(error.operation == "renameat")
    try File.rename(scratch.path("first"), to: scratch.path("third"), replacing: false)
    #expect(try scratch.names == ["second", "third"])
  }

  // MARK: Unnamed files

  @Test("An unnamed file is in no directory until it is linked, and then whole")
  func unnamed() throws {
    var file = try File(unnamedIn: scratch.directory)
    try file.write([1, 2, 3], at: 0)
    #expect(try scratch.names == [])
    #expect(try file.status().linkCount == 0)
    try file.sync()
    #expect(try file.link(as: scratch.path("named")))
    try File.syncDirectory(scratch.directory)
    #expect(file.path == scratch.path("named"))
    #expect(try scratch.names == ["named"])
    #expect(try File.identity(of: scratch.path("named")) == file.status().identity)
    #expect(try File(opening: scratch.path("named"), access: .readOnly).bytes(9) == [1, 2, 3])
  }

  @Test("Linking never replaces, and can be tried again under another name")
  func linkingTwice() throws {
    _ = try scratch.file("taken", pages: 1)
    var file = try File(unnamedIn: scratch.directory)
    let error = try mappingError { _ = try file.link(as: scratch.path("taken")) }
    #expect(error.errno == .fileExists)
    #expect(error.path == scratch.path("taken"))
    #expect(try File(opening: scratch.path("taken"), access: .readOnly).status().size == Int64(page))
    #expect(try file.link(as: scratch.path("free")))
    #expect(try scratch.names == ["free", "taken"])
  }

  @Test("A directory that is missing is an error of its own, not a reason for a temporary name")
  func missingDirectory() throws {
    let error = try mappingError { _ = try File(unnamedIn: scratch.path("none")) }
    #expect(error.errno == .noSuchFileOrDirectory)
    #expect(throws: MappingError.self) { try File.syncDirectory(scratch.path("none")) }
  }

  // MARK: Space

  @Test("A longer file reads as zeros; a shorter one is cut")
  func sizes() throws {
    let file = try scratch.file(pages: 1)
    try file.setSize(Int64(3 * page))
    #expect(try file.bytes(2, at: page - 1) == [1, 0])
    #expect(try file.status().size == Int64(3 * page))
    try file.setSize(1)
    #expect(try file.bytes(100) == [1])
  }

  @Test("Allocated space is there before it is written, and extends the file")
  func allocating() throws {
    let file = try scratch.file(pages: 1)
    try file.allocate(offset: Int64(page), length: 1 << 20)
    let status = try file.status()
    #expect(status.size == Int64(page) + 1 << 20)
    #expect(status.allocatedBytes >= 1 << 20)
    #expect(try file.bytes(1) == [1])
    try file.allocate(offset: 0, length: Int64(page))
    #expect(try file.bytes(page) == [UInt8](repeating: 1, count: page))
    #expect(try file.status().size == Int64(page) + 1 << 20)
    for (offset, length) in [(Int64(-1), Int64(1)), (0, 0), (0, -1)] {
      #expect(
        try mappingError { try file.allocate(offset: offset, length: length) }.errno == .invalidArgument)
    }
  }

  @Test("A punched hole gives its storage back and reads as zeros; the size stays")
  func punching() throws {
    let file = try scratch.file(pages: 64)
    try file.sync()
    let before = try file.status()
    let mapping = try Mapping(file, length: 64 * page)
    try file.punchHole(offset: Int64(8 * page), length: Int64(32 * page))
    let after = try file.status()
    #expect(after.size == before.size)
    #expect(after.allocatedBytes <= before.allocatedBytes - Int64(32 * page))
    #expect(try mapping.byte(8 * page) == 0)
    #expect(try mapping.byte(40 * page - 1) == 0)
    #expect(try mapping.byte(8 * page - 1) == 8)
    #expect(try mapping.byte(40 * page) == 41)
  }

  @Test("A file shares the contents of another, or is left as it was where the file system cannot")
  func sharing() throws {
    let file = try scratch.file(pages: 3)
    let copy = try File(unnamedIn: scratch.directory)
    let isShared = try copy.shareContents(of: file)
    #expect(try copy.status().size == (isShared ? Int64(3 * page) : 0))
    try file.write([9], at: 0)
    #expect(try copy.bytes(1) == (isShared ? [1] : []))
  }

  @Test(
    "Zeros are written over any range", arguments: [(0, 1), (100, 5000), (4095, 2), (8192, 4096), (1, 12287)])
  func zeros(offset: Int, length: Int) throws {
    let file = try File(opening: scratch.path(), access: .readWrite, create: true)
    try file.write([UInt8](repeating: 7, count: 12288), at: 0)
    try file.writeZeros(offset: Int64(offset), length: Int64(length))
    var expected = [UInt8](repeating: 7, count: max(12288, offset + length))
    for index in offset..<(offset + length) { expected[index] = 0 }
    #expect(try file.bytes(20000) == expected)
  }

  // MARK: Contents

  @Test("Reads stop at the end of the file, however much is asked for")
  func reading() throws {
    let file = try scratch.file(pages: 1)
    #expect(try file.bytes(10, at: page - 3) == [1, 1, 1])
    #expect(try file.bytes(10, at: page) == [])
    #expect(try file.bytes(10, at: 100 * page) == [])
    #expect(try file.read(count: .max, at: 0).count == page)
    for (count, offset) in [(-1, Int64(0)), (1, -1), (1, .max)] {
      #expect(throws: MappingError.self) { try file.read(count: count, at: offset) }
    }
    var buffer = [UInt8](repeating: 9, count: 4)
    let count = try unsafe buffer.withUnsafeMutableBytes {
      try unsafe file.read(into: $0, at: Int64(page - 2))
    }
    #expect(count == 2)
    #expect(buffer == [1, 1, 9, 9])
  }

  @Test("Syncing is taken by files and directories")
  func syncing() throws {
    let file = try scratch.file(pages: 1)
    try file.sync()
    try file.dataSync()
    try File.syncDirectory(scratch.directory)
  }

  // MARK: File systems

  @Test("The disk here is local, can be written, and has a size")
  func fileSystem() throws {
    let file = try scratch.file(pages: 1)
    #expect(try file.fileSystemKind() == .local)
    #expect(try file.isOnReadOnlyFileSystem() == false)
    let system = try file.fileSystem()
    #expect(system.totalBytes > 1 << 20)
    #expect(system.availableBytes <= system.totalBytes)
  }

  @Test(
    "Network file systems are known by their numbers",
    arguments: [
      (0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0x517B, "SMB"), (0xFE53_4D42, "SMB2"), (0x5346_414F, "AFS"),
      (0x0102_1997, "9P"), (0x00C3_6400, "Ceph"), (0x0BD0_0BD0, "Lustre"),
    ] as [(UInt64, String)])
  func network(magic: UInt64, name: String) {
    #expect(FileSystem.networkNames[magic] == name)
  }
}
