import Foundation

/// A copy of the package with all mutations in it at once, each asleep until the
/// environment variable `KVMAP_MUTATION` names its number: built once for all.
struct MutatedPackage {
  let original: URL
  let folder: URL

  private static let parts = ["Package.swift", "Sources", "Tests", "Fixtures"]

  /// Copies the package and mutates the copy. Files that are there with the same
  /// contents stay as they are, so that a folder that was kept is soon built again.
  func write() throws {
    var wanted: [String: Data] = [:]
    for part in Self.parts {
      for path in try Self.files(below: original.appending(path: part)) {
        let relative = part + path
        if relative.hasPrefix("Tests/Mutations/") || relative.hasPrefix("Tests/Benchmarks/") { continue }
        wanted[relative] = try Data(contentsOf: original.appending(path: relative))
      }
    }
    try mutate(&wanted)
    for part in Self.parts {
      let place = folder.appending(path: part)
      guard FileManager.default.fileExists(atPath: place.path) else { continue }
      for path in try Self.files(below: place) where wanted[part + path] == nil {
        try FileManager.default.removeItem(at: folder.appending(path: part + path))
      }
    }
    for (path, data) in wanted {
      let place = folder.appending(path: path)
      if (try? Data(contentsOf: place)) == data { continue }
      try FileManager.default.createDirectory(
        at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
      try data.write(to: place)
    }
  }

  /// Paths of all files below, with a leading slash; an empty one if it is a file itself.
  private static func files(below url: URL) throws -> [String] {
    guard (try url.resourceValues(forKeys: [.isDirectoryKey])).isDirectory == true else { return [""] }
    return try FileManager.default.subpathsOfDirectory(atPath: url.path)
      .filter { path in
        // A file may also be a symbolic link to one.
        let place = url.appending(path: path).resolvingSymlinksInPath()
        return !path.split(separator: "/").contains { $0.hasPrefix(".") }
          && (try? place.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile == true
      }
      .map { "/" + $0 }
  }

  // MARK: Mutating

  /// Where each mutation is. Throws naming all whose text the source has no more.
  func places() throws -> [String] {
    var texts: [String: SourceText] = [:]
    var mismatches: [String] = []
    let places = try Mutation.all.enumerated().map { index, mutation in
      var first: String?
      for edit in mutation.edits {
        let text = try texts[edit.file] ?? SourceText(source(edit.file))
        texts[edit.file] = text
        do {
          let place = try text.place(of: edit)
          first = first ?? "\(edit.file):\(text.line(of: place.lowerBound))"
        } catch {
          mismatches.append("mutation \(index + 1), \(mutation.what): \(error)")
        }
      }
      return first ?? ""
    }
    if !mismatches.isEmpty { throw Mismatch(mismatches.joined(separator: "\n")) }
    return places
  }

  private func source(_ file: String) throws -> String {
    try String(contentsOf: original.appending(path: "Sources/\(file)"), encoding: .utf8)
  }

  private func mutate(_ wanted: inout [String: Data]) throws {
    var changes: [String: [Range<Int>: String]] = [:]
    for (index, mutation) in Mutation.all.enumerated() {
      for edit in mutation.edits {
        let text = SourceText(try source(edit.file))
        let range = try text.place(of: edit)
        let others = changes[edit.file, default: [:]].keys
        guard !others.contains(where: { $0 != range && $0.overlaps(range) }) else {
          throw Mismatch("mutation \(index + 1), \(mutation.what): overlaps with another in \(edit.file)")
        }
        let isOn =
          edit.file.hasSuffix(".swift") ? "Mutation.isOn(\(index + 1))" : "kvmap_mutation_is(\(index + 1))"
        // Several at one place stand around each other.
        changes[edit.file, default: [:]][range] = edit.replacement
          .replacingOccurrences(of: "MUTATED", with: isOn)
          .replacingOccurrences(of: "TEXT", with: changes[edit.file]?[range] ?? text[range])
      }
    }
    for (file, changes) in changes {
      wanted["Sources/\(file)"] = Data(SourceText(try source(file)).replacing(changes).utf8)
    }
    for module in ["KVMap", "MappedMemory"] {
      wanted["Sources/\(module)/Mutation.swift"] = Data(Self.swiftSwitch.utf8)
    }
    wanted["Sources/CMappedMemory/mutation.c"] = Data(Self.switchSource.utf8)
    wanted["Sources/CMappedMemory/include/mutation.h"] = Data(Self.switchHeader.utf8)
    wanted["Sources/CMappedMemory/include/CMappedMemory.h"]?.append(Data("\n#include \"mutation.h\"\n".utf8))
  }

  private static let swiftSwitch = """
    import CMappedMemory

    enum Mutation {
      @inline(__always)
      static func isOn(_ number: Int32) -> Bool { kvmap_mutation_is(number) }
    }

    """

  private static let switchHeader = """
    #pragma once
    #include <stdbool.h>
    extern int kvmap_mutation_number;
    static inline bool kvmap_mutation_is(int number) { return number == kvmap_mutation_number; }

    """

  private static let switchSource = """
    #include "mutation.h"
    #include <stdlib.h>
    int kvmap_mutation_number;
    __attribute__((constructor)) static void read_number(void) {
      const char *text = getenv("KVMAP_MUTATION");
      kvmap_mutation_number = text ? atoi(text) : 0;
    }

    """

  // MARK: Running

  func build() throws {
    let arguments = [
      "swift", "build", "--package-path", folder.path, "-c", "release", "-j", "2", "-Xswiftc",
      "-enable-testing", "--build-tests", "--traits", "CrashSimulation",
    ]
    let result = try Command(arguments).run()
    guard result.status == 0 else {
      let lines = result.output.split(separator: "\n").filter { $0.contains("error:") }
      throw Mismatch("the mutated package does not build:\n" + lines.joined(separator: "\n"))
    }
  }

  /// The outcome of some tests with a mutation, 0 for none.
  func test(_ run: TestRun, mutation: Int, limit: Double) throws -> Command.Result {
    let scratch = folder.appending(path: "scratch")
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: scratch) }
    let bundle = folder.appending(path: ".build/release/kvmapPackageTests.xctest").path
    var command = Command(["timeout", "--kill-after=5", "\(Int(limit))", bundle])
    command.arguments += ["--testing-library", "swift-testing", "--filter", run.filter]
    command.environment = run.environment
    command.environment["KVMAP_MUTATION"] = mutation == 0 ? "" : "\(mutation)"
    command.environment["TMPDIR"] = scratch.path
    // A process that traps need not print a backtrace, which takes seconds.
    command.environment["SWIFT_BACKTRACE"] = "enable=no"
    return try command.run()
  }
}
