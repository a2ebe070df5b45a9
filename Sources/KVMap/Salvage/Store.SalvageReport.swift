extension Store {
  /// What ``Store/salvage(from:into:options:progress:)`` copied, and what was lost.
  public struct SalvageReport: Sendable {
    /// Something that was lost, or may have been.
    public struct Loss: Sendable, CustomStringConvertible {
      /// What is known of it.
      public enum Kind: Sendable, Hashable {
        /// The value of a key is lost; the key is not in the new store.
        case value
        /// The newest value of a key is lost; the new store has an older one.
        case olderValue
        /// Records are lost, or may be, whose keys are not known. Keys of which they
        /// were the newest are missing, have an older value, or are back though removed.
        case unknownKeys
      }

      /// What is known of it.
      public let kind: Kind
      /// The key; nil if it is not known.
      public let key: [UInt8]?
      /// Whether the key is right beyond doubt: read from a record that is intact. If not, it was
      /// read from damaged bytes.
      public let isKeyCertain: Bool
      /// Where in the damaged file: for example `record at 0x42c0`.
      public let place: String
      /// What is wrong there, and what that means for the data.
      public let meaning: String

      /// Place and meaning, without the key.
      public var description: String { "\(place): \(meaning)" }
    }

    /// How many records the new store has.
    public internal(set) var recordCount = 0
    /// How many bytes their keys and values have.
    public internal(set) var byteCount = 0
    /// How many of these records have an older value, because the newest one is lost.
    public internal(set) var olderValues = 0
    /// What is lost; at most 10,000.
    public internal(set) var losses: [Loss] = []
    /// How many losses there are beyond those listed.
    public internal(set) var furtherLosses = 0
    /// What is damaged in the old file, whether anything was lost by it or not; at most 10,000.
    /// Salvage does not list what it did not have to look at; for a list of all damage use
    /// ``Store/verify(_:)``.
    public internal(set) var faults: [Store.VerificationReport.Fault] = []

    /// Whether everything was copied as it was.
    public var isComplete: Bool { losses.isEmpty }

    private static let most = 10_000

    /// Adds the faults that were found in a part of the old file.
    mutating func add(faultsOf report: Store.VerificationReport) {
      faults += report.faults.prefix(Self.most - faults.count)
    }

    mutating func add(
      _ kind: Loss.Kind, _ place: String, at offset: Int, key: [UInt8]? = nil, isKeyCertain: Bool = false,
      _ meaning: String
    ) {
      guard losses.count < Self.most else {
        furtherLosses += 1
        return
      }
      losses.append(
        Loss(
          kind: kind, key: key, isKeyCertain: isKeyCertain,
          place: "\(place) at \(UInt64(offset).hexadecimal)", meaning: meaning))
    }
  }
}
