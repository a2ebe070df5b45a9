/// Compares KVMap with other stores in files, with a Swift dictionary and with a bare hash table, all in one run.
///
///     swift run -c release --traits Peers kvmap-benchmark 1000000 --json figures.json --chart figures.svg
///
/// Without traits it needs gdbm alone; `Package.swift` says which traits there are. `--help` lists the options.
///
/// Every contender gets the same keys in the same orders from one seed, in a process of its own; a round goes through
/// all contenders, and the figure is the median of the rounds. Keys are made before the clock runs. The value is one
/// buffer that is changed before each put, inside the timed loop, and that each contender copies as it must. Each value
/// read is folded into a checksum inside the loop, and a wrong one ends the run. A get hands out a copy that the caller
/// may keep; a get in place does not. Nothing is warmed up, nothing is left out: what a contender puts off
/// (checkpoints, splits) it pays within.
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
