import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MappedMemory

@Suite("Locks of open files")
struct FileLockTests {
  let scratch: Scratch
  /// Far past the end of any file here.
  let range = FileRange(offset: 1 << 62, length: 1)

  init() throws { scratch = try Scratch() }

  private func open(_ access: File.Access = .readWrite) throws -> File {
    try File(opening: scratch.path(), access: access, create: true)
  }

  @Test("An exclusive lock keeps out all others, also those of the same process")
  func exclusive() throws {
    let first = try open()
    let second = try open()
    #expect(try first.tryLock(.exclusive, range: range) == true)
    #expect(try second.tryLock(.exclusive, range: range) == false)
    #expect(try second.tryLock(.shared, range: range) == false)
    try second.unlock(range: range)
    #expect(try second.tryLock(.shared, range: range) == false)
    try first.unlock(range: range)
    #expect(try second.tryLock(.exclusive, range: range) == true)
  }

  @Test("Shared locks go together, also of files opened read-only")
  func shared() throws {
    let first = try open()
    let second = try open(.readOnly)
    #expect(try first.tryLock(.shared, range: range) == true)
    #expect(try second.tryLock(.shared, range: range) == true)
    #expect(try first.tryLock(.exclusive, range: range) == false)
    // The failed attempt left the shared lock in place.
    let third = try open()
    #expect(try third.tryLock(.exclusive, range: range) == false)
    try second.unlock(range: range)
    #expect(try third.tryLock(.exclusive, range: range) == false)
    #expect(try first.tryLock(.exclusive, range: range) == true)
  }

  @Test("An exclusive lock becomes shared in one step")
  func downgrade() throws {
    let first = try open()
    let second = try open()
    #expect(try first.tryLock(.exclusive, range: range) == true)
    #expect(try first.tryLock(.shared, range: range) == true)
    #expect(try second.tryLock(.shared, range: range) == true)
    #expect(try second.tryLock(.exclusive, range: range) == false)
  }

  @Test("Ranges are apart from one another; length 0 reaches to the end of everything")
  func ranges() throws {
    let first = try open()
    let second = try open()
    #expect(try first.tryLock(.exclusive, range: FileRange(offset: 10, length: 5)) == true)
    #expect(try second.tryLock(.exclusive, range: FileRange(offset: 15, length: 1)) == true)
    #expect(try second.tryLock(.exclusive, range: FileRange(offset: 9, length: 1)) == true)
    #expect(try second.tryLock(.exclusive, range: FileRange(offset: 14, length: 1)) == false)
    try first.unlock(range: FileRange(offset: 12, length: 3))
    #expect(try second.tryLock(.exclusive, range: FileRange(offset: 14, length: 1)) == true)
    #expect(try first.tryLock(.exclusive, range: FileRange(offset: 1 << 50, length: 0)) == true)
    #expect(try second.tryLock(.shared, range: FileRange(offset: .max - 1, length: 1)) == false)
  }

  @Test("What stands in the way can be named; one's own locks never do")
  func conflicts() throws {
    let first = try open()
    let second = try open()
    let everything = FileRange(offset: 0, length: 0)
    #expect(try second.conflictingLock(.exclusive, range: everything) == nil)
    #expect(try first.tryLock(.shared, range: FileRange(offset: 1 << 61, length: 7)) == true)
    #expect(
      try second.conflictingLock(.exclusive, range: everything) == FileRange(offset: 1 << 61, length: 7))
    #expect(try second.conflictingLock(.shared, range: everything) == nil)
    #expect(try first.conflictingLock(.exclusive, range: everything) == nil)
    // Asking took no lock.
    #expect(try first.tryLock(.exclusive, range: FileRange(offset: 1 << 61, length: 7)) == true)
  }

  @Test("Closing one value of a file loses no lock of another")
  func closingAnother() throws {
    let first = try open()
    let other = try open()
    #expect(try first.tryLock(.exclusive, range: range) == true)
    do {
      let second = try open()
      #expect(try second.status().size == 0)
    }
    try open().close()
    #expect(try other.tryLock(.shared, range: range) == false)
  }

  @Test("The end of the value ends its locks, unless a mapping was made from it")
  func end() throws {
    let other = try open()
    do {
      let first = try open()
      #expect(try first.tryLock(.exclusive, range: range) == true)
    }
    #expect(try other.tryLock(.exclusive, range: range) == true)
    try other.unlock(range: range)
    let mapping: Mapping
    do {
      let first = try open()
      #expect(try first.tryLock(.exclusive, range: range) == true)
      mapping = try Mapping(first, length: 1)
    }
    #expect(try other.tryLock(.shared, range: range) == false)
    _ = consume mapping
    #expect(try other.tryLock(.shared, range: range) == true)
  }

  @Test("A thread that waits for a lock gets it only when the holder has given it up")
  func waiting() throws {
    let path = scratch.path()
    let range = range
    _ = try open()
    let order = Shared([Int]())
    final class Signals: Sendable {
      let isHeld = Atomic<Bool>(false)
      let isWaiting = Atomic<Bool>(false)
    }
    let signals = Signals()
    onThreads(2) { index in
      do {
        let file = try File(opening: path, access: .readWrite)
        if index == 0 {
          try file.lock(.exclusive, range: range)
          signals.isHeld.store(true, ordering: .releasing)
          while !signals.isWaiting.load(ordering: .acquiring) {}
          for step in 0..<1000 { order.with { $0.append(step) } }
          try file.unlock(range: range)
        } else {
          while !signals.isHeld.load(ordering: .acquiring) {}
          signals.isWaiting.store(true, ordering: .releasing)
          try file.lock(.shared, range: range)
          order.with { $0.append(-1) }
        }
      } catch {
        order.with { $0.append(-2) }
      }
    }
    order.with { #expect($0 == Array(0..<1000) + [-1]) }
  }
}
