import Foundation
import SystemPackage
import Testing

@testable import MappedMemory

/// What becomes of SIGBUS that is none of the layer's business. Each test in a
/// process of its own, because the handler is for the process.
@Suite("Foreign SIGBUS")
struct SignalTests {
  @Test("A fault outside of our ranges kills, as without us")
  func foreignFault() async {
    await #expect(processExitsWith: .signal(SIGBUS)) {
      // A sanitizer has a handler of its own for it.
      signal(SIGBUS, SIG_DFL)
      try SignalTests.loseOne()
      SignalTests.foreignFault()
    }
  }

  @Test("It reaches a handler with information that was there before")
  func previousHandlerWithInformation() async {
    await #expect(processExitsWith: .exitCode(42)) {
      var action = sigaction()
      action.sa_flags = SA_SIGINFO
      unsafe action.__sigaction_handler.sa_sigaction = { number, information, _ in
        // Only with what the kernel gave: the code of an address without storage.
        let isWhole = unsafe number == SIGBUS && information?.pointee.si_code == 2
        _exit(isWhole ? 42 : 1)
      }
      try #require(unsafe sigaction(SIGBUS, &action, nil) == 0)
      try SignalTests.loseOne()
      SignalTests.foreignFault()
    }
  }

  @Test("It reaches a plain handler that was there before")
  func previousPlainHandler() async {
    await #expect(processExitsWith: .exitCode(43)) {
      signal(SIGBUS) { number in _exit(number == SIGBUS ? 43 : 1) }
      try SignalTests.loseOne()
      SignalTests.foreignFault()
    }
  }

  @Test("A fault kills where the signal was ignored, as the kernel does it")
  func previouslyIgnoredFault() async {
    await #expect(processExitsWith: .signal(SIGBUS)) {
      signal(SIGBUS, SIG_IGN)
      try SignalTests.loseOne()
      SignalTests.foreignFault()
    }
  }

  @Test("A signal that was sent kills")
  func sent() async {
    await #expect(processExitsWith: .signal(SIGBUS)) {
      signal(SIGBUS, SIG_DFL)
      try SignalTests.loseOne()
      raise(SIGBUS)
    }
  }

  @Test("A signal that was sent is ignored where it was before")
  func sentAndIgnored() async {
    await #expect(processExitsWith: .exitCode(44)) {
      signal(SIGBUS, SIG_IGN)
      try SignalTests.loseOne()
      raise(SIGBUS)
      try SignalTests.loseOne()
      _exit(44)
    }
  }

  @Test("A range is no longer ours once its mapping has ended")
  func afterTheEnd() async {
    await #expect(processExitsWith: .signal(SIGBUS)) {
      signal(SIGBUS, SIG_DFL)
      let file = try File(unnamedIn: "/tmp")
      let address: UInt
      do {
        let mapping = try Mapping(file, length: PageSize.bytes)
        address = mapping.address
        _ = mapping.bytes.byte(0)
      }
      let sizeless = SignalTests.emptyFile()
      let fixed = unsafe mmap(
        UnsafeMutableRawPointer(bitPattern: address), PageSize.bytes, PROT_READ, MAP_SHARED | MAP_FIXED,
        sizeless, 0)
      use(unsafe fixed!.load(as: UInt8.self))
    }
  }

  @Test("A handler installed on top of ours and passing on leaves ours at work")
  func handlerOnTop() async {
    await #expect(processExitsWith: .success) {
      try SignalTests.loseOne()
      unsafe try #require(sigaction(SIGBUS, nil, &ours) == 0)
      var action = sigaction()
      action.sa_flags = SA_SIGINFO
      unsafe action.__sigaction_handler.sa_sigaction = { number, information, context in
        unsafe ours.__sigaction_handler.sa_sigaction(number, information, context)
      }
      try #require(unsafe sigaction(SIGBUS, &action, nil) == 0)
      try SignalTests.loseOne()
    }
  }

  /// Loses a mapping of the layer's, which installs its handler and uses it.
  static func loseOne() throws {
    let file = try File(unnamedIn: "/tmp")
    let mapping = try Mapping(file, length: PageSize.bytes)
    #expect(throws: MappingError.lost("/tmp")) { try mapping.byte(0) }
  }

  /// Maps an empty file behind the layer's back, and reads it.
  static func foreignFault() {
    let base = unsafe mmap(nil, PageSize.bytes, PROT_READ, MAP_SHARED, emptyFile(), 0)
    use(unsafe base!.load(as: UInt8.self))
  }

  static func emptyFile() -> Int32 {
    unsafe fileno(tmpfile())
  }
}

/// For a handler that may capture nothing; one test in its own process uses it.
nonisolated(unsafe) private var ours = sigaction()
