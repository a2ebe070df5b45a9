import Foundation
import SystemPackage
import Testing

@testable import MappedMemory

/// What happens with a SIGBUS that no mapping of the module has caused. Each test runs in
/// a process of its own, because the handler is for the whole process.
@Suite("Foreign SIGBUS")
struct SignalTests {
  @Test("A fault outside of the module's mappings kills")
  func foreignFault() async {
    await #expect(processExitsWith: .signal(SIGBUS)) {
      // A sanitizer has installed a handler.
      signal(SIGBUS, SIG_DFL)
      try SignalTests.loseOne()
      SignalTests.foreignFault()
    }
  }

  @Test("A fault reaches an earlier handler, with what the kernel says of it")
  func previousHandlerWithInformation() async {
    await #expect(processExitsWith: .exitCode(42)) {
      var action = sigaction()
      action.sa_flags = SA_SIGINFO
      unsafe action.__sigaction_handler.sa_sigaction = { number, information, _ in
        // 2 is the kernel's code for an address without storage.
        let isWhole = unsafe number == SIGBUS && information?.pointee.si_code == 2
        _exit(isWhole ? 42 : 1)
      }
      try #require(unsafe sigaction(SIGBUS, &action, nil) == 0)
      try SignalTests.loseOne()
      SignalTests.foreignFault()
    }
  }

  @Test("A fault reaches an earlier plain handler")
  func previousPlainHandler() async {
    await #expect(processExitsWith: .exitCode(43)) {
      signal(SIGBUS) { number in _exit(number == SIGBUS ? 43 : 1) }
      try SignalTests.loseOne()
      SignalTests.foreignFault()
    }
  }

  @Test("A fault kills where the signal was ignored, as it does without the module")
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

  @Test("A signal that was sent is ignored where it was ignored before")
  func sentAndIgnored() async {
    await #expect(processExitsWith: .exitCode(44)) {
      signal(SIGBUS, SIG_IGN)
      try SignalTests.loseOne()
      raise(SIGBUS)
      try SignalTests.loseOne()
      _exit(44)
    }
  }

  @Test("A fault in the range of a mapping that has ended kills")
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

  @Test("A later handler that passes signals on leaves the module's at work")
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

  /// Loses a mapping of the module, which installs its handler and uses it.
  static func loseOne() throws {
    let file = try File(unnamedIn: "/tmp")
    let mapping = try Mapping(file, length: PageSize.bytes)
    #expect(throws: MappingError.lost("/tmp")) { try mapping.byte(0) }
  }

  /// Maps an empty file without the module, and reads it.
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
