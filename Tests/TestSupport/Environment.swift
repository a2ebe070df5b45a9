import Foundation
package import SystemPackage

/// What the environment says about this run of tests.
package enum Environment {
  package static func isSet(_ name: String) -> Bool { text(name) != nil }

  /// A variable's number; nil if it is not set or not a number.
  package static func number(_ name: String) -> Int? { text(name).flatMap { Int($0) } }

  fileprivate static func text(_ name: String) -> String? { ProcessInfo.processInfo.environment[name] }
}

/// The `kvmap` that tests run: `KVMAP_COMMAND` if that is set, else the one that was built beside the tests.
package let testedCommand =
  Environment.text("KVMAP_COMMAND").map { FilePath($0) }
  ?? FilePath(CommandLine.arguments[0]).removingLastComponent().appending("kvmap")

/// The seed of one test, printed: `KVMAP_TEST_SEED` if that is set, else `usual`, else any.
///
/// - Parameter name: a test or a suite, as `swift test --filter` takes it.
package func testSeed(_ name: String, usual: UInt64? = nil) -> UInt64 {
  let given = Environment.text("KVMAP_TEST_SEED").flatMap { UInt64($0) }
  let seed = given ?? usual ?? UInt64.random(in: 1...999_999_999)
  print("\(name): seed \(seed); to repeat: KVMAP_TEST_SEED=\(seed) swift test --filter \(name)")
  return seed
}

/// How often random tests repeat; `KVMAP_TEST_SCALE` makes them longer.
package let testScale = max(1, Environment.number("KVMAP_TEST_SCALE") ?? 1)
