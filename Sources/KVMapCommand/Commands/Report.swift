import ArgumentParser
import KVMap
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct Report: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Make a page about the store, for a browser.",
    discussion: """
      One file of HTML, light or dark as the browser is, which loads nothing and runs no script: what 'kvmap stat' says, a \
      map of the file, how full the index is, the lengths of keys and values, when records expire and how old they are, \
      the largest values, which prefixes take the space, and what keeps the file from being smaller. The page shows \
      beginnings of keys, and no values.

      Only reads, while others may write; until it ends, space that they free is not used again. Goes through all keys \
      twice: O(n), with the same memory whatever n is. Records that are damaged are left out and counted; 'kvmap verify' \
      says where they are.

      EXAMPLES
        kvmap report orders.kvmap -o report.html
        kvmap report orders.kvmap | gzip > report.html.gz
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("Write to a file instead of standard output.", valueName: "file"),
    completion: .file())
  var output: String?

  @OptionGroup var common: CommonOptions

  func run() throws {
    if output == nil, Terminal.isTerminal(.standardOutput) {
      throw Failure(.usage, "a page is nothing to show on a terminal; write it to a file with -o report.html")
    }
    let store = try openForReading()
    let file = try output.map { try OutputFile($0, besides: self.store) }
    var share = 0.0
    let progress = Progress(self, unit: "keys", share: { share })
    defer { progress.clear() }
    let seconds = time(nil)
    let survey = try Survey(of: store, now: UInt64(max(0, seconds)) * 1000) { statistics, done in
      share = min(1, Double(done) / Double(2 * max(1, statistics.recordCount)))
      progress.update(done)
    }
    let name = FilePath(self.store).lastComponent?.string ?? self.store
    let page = ReportPage(survey: survey, store: name, time: Self.text(of: seconds))
    var stream = file?.stream ?? standardOutput()
    try stream.append(page.text)
    try stream.flush()
    try file?.finish()
  }

  /// "2026-11-29 16:20 UTC".
  private static func text(of seconds: time_t) -> String {
    var seconds = seconds
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    let (year, month, day) = unsafe (parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday)
    let (hour, minute) = unsafe (parts.tm_hour, parts.tm_min)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(year)-\(two(month))-\(two(day)) \(two(hour)):\(two(minute)) UTC"
  }
}
