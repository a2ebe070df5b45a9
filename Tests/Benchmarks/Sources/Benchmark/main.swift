/// Compares KVMap with gdbm and with a Swift dictionary, all in one run.
///
///     swift run -c release kvmap-benchmark [COUNT] [--rounds ROUNDS] [--directory DIRECTORY]
///
/// COUNT records (default 1,000,000) of a 16-byte key and a 100-byte value; the median of ROUNDS (default 3); the
/// stores' files lie in DIRECTORY (default the temporary directory), which should be on the disk in question.
///
/// Every contender gets the same keys in the same orders from one seed, in a process of its own, in turn. Keys are
/// made before the clock runs. The value is one buffer that is changed before each put, inside the timed loop, and that
/// each contender copies as it must. Each value read is folded into a checksum inside the loop, and a wrong sum ends the
/// run. Nothing is warmed up, nothing is left out: what a contender puts off (checkpoints, splits) it pays within.
///
/// gdbm runs as fast as it can be set to, see `GDBMContender`. "KVMap shared" takes the write lock for each put, so
/// that other processes may write as well; "KVMap alone" has the turn for the handle's life, like gdbm's own lock.
import Foundation

let arguments = try Arguments(CommandLine.arguments.dropFirst())
if let name = arguments.contender {
  try Rounds.runOne(name, arguments)
} else {
  try Rounds.runAll(arguments)
}
