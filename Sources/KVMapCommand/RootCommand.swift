import ArgumentParser

struct RootCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kvmap",
    abstract: "Keeps keys and values in one file.",
    discussion: """
      EXAMPLES
        kvmap put colours.kvmap sky blue      create the store and put a value
        kvmap get colours.kvmap sky           print it
        kvmap list colours.kvmap --values     print all
        kvmap dump colours.kvmap > backup     write all records to a file

      EXIT STATUS
        0   done or found
        1   the key is absent, or a condition is not met
        2   any other failure
        64  the command line is wrong
        65  the store or the dump is damaged
        73  a file cannot be created
        74  reading or writing failed, or the disk is full
        75  another process kept this one waiting longer than --timeout
      """,
    version: Program.version,
    subcommands: [
      Get.self, Put.self, Delete.self, Exists.self, List.self, Keys.self, Count.self, Expire.self,
      TimeToLive.self, Persist.self, Increment.self, CompareAndSet.self, Append.self, Batch.self, Clear.self,
      Stat.self, Verify.self, Salvage.self, Compact.self, Backup.self, Restore.self, Dump.self, Load.self,
      Watch.self, Bench.self, Report.self, Completions.self,
    ])

  func run() throws {
    throw ValidationError("Missing a subcommand; 'kvmap --help' lists them")
  }
}

/// The program's name and version.
enum Program {
  static let version = "0.2.0"
  static let nameAndVersion = "kvmap \(version)"
}
