/// A part of the tests, with its budget: the same each time.
struct TestRun: Hashable {
  var filter: String
  var environment: [String: String] = [:]

  /// What is printed for it.
  var name: String {
    let settings = environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return ([filter] + settings).joined(separator: " ")
  }

  /// So many lives of the crash simulation. It ends with the first that fails.
  static func crashes(_ lives: Int = 300) -> TestRun {
    TestRun(
      filter: "CrashTests.CrashTests/",
      environment: ["KVMAP_CRASH_SEED": "1", "KVMAP_CRASH_LIVES": "\(lives)"])
  }

  /// The crashes found once before, each as a test.
  static let crashRegressions = TestRun(filter: "CrashTests.RegressionTests/")

  /// Killed processes: so many if all kill tests ran, of which this is one.
  static func kills(_ test: String, _ total: Int = 200) -> TestRun {
    TestRun(
      filter: "KVMapTests.KillTests/\(test)",
      environment: ["KVMAP_KILLS": "\(total)", "KVMAP_TEST_SEED": "1"])
  }

  /// A suite, or one test of it, of the library.
  static func store(_ name: String) -> TestRun {
    TestRun(
      filter: "KVMapTests.\(name)\(name.contains("/") ? "" : "/")", environment: ["KVMAP_TEST_SEED": "1"])
  }

  /// A suite, or one test of it, of the mapping layer.
  static func mapping(_ name: String) -> TestRun {
    TestRun(filter: "MappedMemoryTests.\(name)\(name.contains("/") ? "" : "/")")
  }

  /// Old files and their dumps.
  static let fixtures = TestRun(filter: "GDBMTests.GoldenStoreTests/")
}
