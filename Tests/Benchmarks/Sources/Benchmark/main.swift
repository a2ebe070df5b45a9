/// Compares KVMap with other stores in files, with a Swift dictionary and with a bare hash table, all
/// in one run.
///
///     swift run -c release --traits Peers kvmap-benchmark 1000000 --json figures.json --chart figures.svg
///
/// Without traits it needs gdbm alone; `Package.swift` says which traits there are. `--help` lists the
/// options.
///
/// Each contender runs in a process of its own, and gets the same keys in the same orders, made from
/// one seed. A round runs each contender once; a figure is the median of the rounds. Keys are made
/// before the clock starts. All values are in one buffer: the timed loop changes it before each put,
/// and the contender copies it as it must. The timed loop also folds each value that it reads into a
/// checksum, and a wrong value ends the run. A get returns a copy that the caller may keep; a get in
/// place does not. Nothing is warmed up and no operation is left out: work that a contender does now
/// and then (checkpoints, splits) is measured too.
import Foundation

do {
  let arguments = try Arguments(CommandLine.arguments.dropFirst())
  if let name = arguments.contender {
    try Rounds.runOne(name, arguments)
  } else {
    try Rounds.runAll(arguments)
  }
} catch {
  Console.note("\(error)")
  exit(1)
}
