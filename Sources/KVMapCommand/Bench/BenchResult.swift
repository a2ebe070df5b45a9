import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What `kvmap bench` found out, and how it says so.
struct BenchResult {
  let records: Int
  let averageKey: Int
  let averageValue: Int
  let isOfStore: Bool
  let place: FilePath
  let fileSystem: String?
  let processors = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  let measurements: [Measurement]

  init(records: BenchRecords, isOfStore: Bool, place: FilePath, measurements: [Measurement]) {
    self.records = records.count
    averageKey = records.averageKey
    averageValue = records.averageValue
    self.isOfStore = isOfStore
    self.place = place
    fileSystem = MachineFloors.fileSystem(of: place)
    self.measurements = measurements
  }

  /// "100 k records of 16 + 100 bytes on ext4, 2 processors, everything in memory".
  var conditions: String {
    let sizes = "\(Quantity.count(records)) records of \(averageKey) + \(averageValue) bytes"
    let average = isOfStore ? " on average" : ""
    let disk = fileSystem.map { " on \($0)" } ?? ""
    return "\(sizes)\(average)\(disk), \(counted(processors, "processor")), everything in memory"
  }

  /// What may mislead; nil if nothing does.
  var caveat: String? {
    fileSystem == "tmpfs" ? "tmpfs is memory: durable calls wait for no disk here" : nil
  }

  /// For people.
  var table: String {
    let width = (measurements.map(\.label.count).max() ?? 0) + 2
    var text = conditions + "\n\n" + "".padded(to: width) + "a call".padded(to: 11) + "a second\n"
    var subject = Measurement.Subject.store
    for measurement in measurements {
      if measurement.subject != subject { text += "\nthe machine\n" }
      subject = measurement.subject
      text += measurement.label.padded(to: width)
      text += Quantity.time(nanoseconds: measurement.nanoseconds).padded(to: 11)
      text += Quantity.count(measurement.rate).padded(to: 10) + measurement.note + "\n"
    }
    return text + (caveat.map { "\n\($0)\n" } ?? "")
  }

  /// For programs that read lines.
  var lines: String {
    measurements.map { measurement in
      let worst = measurement.slowestRound ?? measurement.percentile99
      let fields = [
        measurement.name, decimal(measurement.nanoseconds), "\(measurement.calls)", worst.map(decimal) ?? "",
      ]
      return fields.joined(separator: "\t") + "\n"
    }
    .joined()
  }

  /// JSON.
  var object: String {
    let members = [
      "\"version\":1", "\"records\":\(records)", "\"key_bytes\":\(averageKey)",
      "\"value_bytes\":\(averageValue)",
      "\"of_store\":\(isOfStore)", "\"file_system\":\(fileSystem.map { "\"\($0)\"" } ?? "null")",
      "\"processors\":\(processors)", "\"measurements\":[\(measurements.map(object).joined(separator: ","))]",
    ]
    return "{\(members.joined(separator: ","))}\n"
  }

  private func object(_ measurement: Measurement) -> String {
    let members = [
      "\"name\":\"\(measurement.name)\"", "\"subject\":\"\(measurement.subject.rawValue)\"",
      "\"calls\":\(measurement.calls)", "\"rounds\":\(measurement.rounds)",
      "\"ns\":\(decimal(measurement.nanoseconds))",
      "\"slowest_round_ns\":\(measurement.slowestRound.map(decimal) ?? "null")",
      "\"p99_ns\":\(measurement.percentile99.map(decimal) ?? "null")",
    ]
    return "{\(members.joined(separator: ","))}"
  }

  /// With one digit after the point.
  private func decimal(_ number: Double) -> String {
    let tenths = Int((min(max(number, 0), 1e17) * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}

extension Measurement {
  /// "3 × 100 k calls, the slowest round 0.7 µs".
  var note: String {
    let number = rounds > 1 ? "\(rounds) × \(Quantity.count(calls)) calls" : "\(Quantity.count(calls)) calls"
    if let slowestRound { return "\(number), the slowest round \(Quantity.time(nanoseconds: slowestRound))" }
    if let percentile99 { return "\(number), 99 % within \(Quantity.time(nanoseconds: percentile99))" }
    return number
  }
}
