import ArgumentParser
import KVMap
import SystemPackage

struct Verify: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check every part of the store.",
    discussion: """
      Prints each fault on a line, the first 10,000 of them, and then their number, or OK. A fault is what, where, \
      and what it means. What a crash left and the next opening for writing repairs is listed as well; it is no \
      fault. Works even if the store cannot be opened; 'kvmap salvage' then saves what can be read. Opens the store \
      read-only and changes nothing. The status is 65 if there are faults.

      JSON is one object with "version", which is 1 and changes if a member gets another meaning; "sound" (true or \
      false), "records", "faults" and "repairs" (arrays of objects with "place" and "meaning"), and "further_faults" \
      (how many were not listed).

      EXAMPLES
        kvmap verify colours.kvmap
        kvmap verify --json colours.kvmap | jq '.faults[].place'
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Flag(help: "Print one JSON object.")
  var json = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let report = try Store.verify(store)
    var output = standardOutput()
    if json {
      try Self.writeObject(report, to: &output)
    } else {
      try Self.writeLines(report, to: &output)
    }
    try output.flush()
    if !report.isSound { throw Failure(.damaged) }
  }

  private static func writeLines(_ report: Store.VerificationReport, to output: inout ByteOutput) throws {
    let hasColour = Terminal.hasColour(.standardOutput)
    for fault in report.repairs + report.faults {
      try output.append(TerminalText.escape(Array("\(fault)".utf8)))
      try output.append("\n")
    }
    let count = report.faults.count + report.furtherFaults
    let (result, colour) = count == 0 ? ("OK", "32") : ("\(count) \(count == 1 ? "fault" : "faults")", "1;31")
    try output.append(hasColour ? "\u{1B}[\(colour)m\(result)\u{1B}[0m\n" : "\(result)\n")
  }

  private static func writeObject(_ report: Store.VerificationReport, to output: inout ByteOutput) throws {
    try output.append(
      "{\"version\":1,\"sound\":\(report.isSound),\"records\":\(report.recordCount),\"faults\":[")
    try append(report.faults, to: &output)
    try output.append("],\"further_faults\":\(report.furtherFaults),\"repairs\":[")
    try append(report.repairs, to: &output)
    try output.append("]}\n")
  }

  private static func append(_ faults: [Store.VerificationReport.Fault], to output: inout ByteOutput) throws {
    for (index, fault) in faults.enumerated() {
      try output.append(index == 0 ? "{" : ",{")
      try output.appendJSONMember("place", Array(fault.place.utf8))
      try output.append(",")
      try output.appendJSONMember("meaning", Array(fault.meaning.utf8))
      try output.append("}")
    }
  }
}
