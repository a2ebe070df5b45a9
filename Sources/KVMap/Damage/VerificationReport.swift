/// What a verification found.
public struct VerificationReport: Sendable {
  /// Something in the file that is not as it must be.
  public struct Fault: Sendable, CustomStringConvertible {
    /// What and where: for example `record at 0x42c0`.
    public let place: String
    /// What is wrong with it, and what that means.
    public let meaning: String

    /// Place and meaning.
    public var description: String { "\(place): \(meaning)" }
  }

  /// The faults in the order in which they were met; at most 10,000.
  public internal(set) var faults: [Fault] = []
  /// What a crash may leave, and what the next opening for writing repairs. Nothing is lost by
  /// it: these are no faults.
  public internal(set) var repairs: [Fault] = []
  /// Records that are there and were found intact.
  public internal(set) var recordCount = 0
  /// Faults beyond those listed.
  public internal(set) var furtherFaults = 0

  /// All faults, listed or not.
  var faultCount: Int { faults.count + furtherFaults }

  /// Whether no fault was found; what will be repaired on opening is none.
  public var isSound: Bool { faults.isEmpty }

  private static let mostFaults = 10_000

  mutating func add(_ what: String, at offset: Int, _ meaning: String) {
    if faults.count < Self.mostFaults {
      faults.append(Fault(place: "\(what) at \(UInt64(offset).hexadecimal)", meaning: meaning))
    } else {
      furtherFaults += 1
    }
  }

  mutating func add(_ error: StoreError) {
    faults.append(Fault(place: "store", meaning: error.message))
  }
}
