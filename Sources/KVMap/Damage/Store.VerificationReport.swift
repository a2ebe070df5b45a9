extension Store {
  /// What a verification found.
  public struct VerificationReport: Sendable {
    /// Something in the file that is not as it must be.
    public struct Fault: Sendable, CustomStringConvertible {
      /// What is wrong, and where it is: for example `record at 0x42c0`.
      public let place: String
      /// What is wrong with it, and what that means for the data.
      public let meaning: String

      /// Place and meaning.
      public var description: String { "\(place): \(meaning)" }
    }

    /// The faults in the order in which they were met; at most 10,000.
    public internal(set) var faults: [Fault] = []
    /// Traces of a crash that the next opening for writing repairs. Nothing is lost by them; they do
    /// not count as faults.
    public internal(set) var repairs: [Fault] = []
    /// How many records were found intact.
    public internal(set) var recordCount = 0
    /// How many faults there are beyond those listed.
    public internal(set) var furtherFaults = 0

    /// How many faults there are, listed or not.
    var faultCount: Int { faults.count + furtherFaults }

    /// Whether ``faults`` is empty. ``repairs`` do not matter.
    public var isSound: Bool { faults.isEmpty }

    private static let mostFaults = 10_000

    mutating func add(_ what: String, at offset: Int, _ meaning: String) {
      if faults.count < Self.mostFaults {
        faults.append(Fault(place: "\(what) at \(UInt64(offset).hexadecimal)", meaning: meaning))
      } else {
        furtherFaults += 1
      }
    }

    mutating func add(_ error: Store.Error) {
      faults.append(Fault(place: "store", meaning: error.message))
    }
  }
}
