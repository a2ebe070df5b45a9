import Foundation
import KVMapFoundation
import TestSupport
import Testing

@testable import KVMap

/// Types whose keys and values are text: numbers, truth values, raw values, UUIDs and dates.
@Suite struct NumberTests {
  private let store: Store

  init() throws { store = try Store.inMemory() }

  private func expectWritten<Value: Store.ByteSource & Store.ByteDecodable & Equatable>(
    _ value: Value, as text: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try store.put(value, forKey: "value")
    #expect(try store.get("value", as: String.self) == text, sourceLocation: sourceLocation)
    #expect(try store.get("value", as: Value.self) == value, sourceLocation: sourceLocation)
    try store.put("by its text", forKey: text)
    #expect(try store.get(value, as: String.self) == "by its text", sourceLocation: sourceLocation)
  }

  private func expectRefused<Value: Store.ByteDecodable>(
    _ texts: [String], as type: Value.Type, _ expected: Store.Error.Code,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    for text in texts {
      try store.put(text, forKey: "value")
      let error = #expect(throws: Store.Error.self, "'\(text)'", sourceLocation: sourceLocation) {
        try store.get("value", as: type)
      }
      #expect(error?.code == expected, "'\(text)'", sourceLocation: sourceLocation)
      #expect(
        error?.message.hasPrefix("store in memory: key 'value': the value (") == true,
        "\(error?.message ?? "")", sourceLocation: sourceLocation)
    }
  }

  // MARK: Whole numbers

  private func expectWholeNumbers<Number: FixedWidthInteger & Store.ByteSource & Store.ByteDecodable>(
    _ type: Number.Type
  ) throws {
    for number in [Number.min, Number.max, 0, 1, 9, 10, 99, 100] {
      try expectWritten(number, as: "\(number)")
    }
    if Number.isSigned { try expectWritten(Number.zero - 1, as: "-1") }
    // One more, and one less, than is possible.
    let beyond = [Number.max, Number.min].map { "\($0)".dropLast() + "9" }.filter { Number($0) == nil }
    try expectRefused(beyond.map(String.init), as: type, .notANumber)
    try expectRefused(["\(Number.max)0"], as: type, .notANumber)
  }

  @Test func wholeNumbersAreDecimalDigits() throws {
    try expectWholeNumbers(Int.self)
    try expectWholeNumbers(Int8.self)
    try expectWholeNumbers(Int16.self)
    try expectWholeNumbers(Int32.self)
    try expectWholeNumbers(Int64.self)
    try expectWholeNumbers(UInt.self)
    try expectWholeNumbers(UInt8.self)
    try expectWholeNumbers(UInt16.self)
    try expectWholeNumbers(UInt32.self)
    try expectWholeNumbers(UInt64.self)
  }

  @Test func eachNumberOfEightBitsIsRead() throws {
    for number in Int8.min...Int8.max { try expectWritten(number, as: "\(number)") }
    try expectRefused((128...400).map { "\($0)" } + (129...400).map { "-\($0)" }, as: Int8.self, .notANumber)
    try expectRefused((256...400).map { "\($0)" } + ["-1"], as: UInt8.self, .notANumber)
  }

  @Test func otherTextsAreNoWholeNumbers() throws {
    let texts = [
      "", "+5", "007", "00", "-0", "-05", " 1", "1 ", "1\n", "-", "--1", "1.0", "1e3", "0x1", "١", "x",
    ]
    try expectRefused(texts, as: Int.self, .notANumber)
    try expectRefused(texts, as: UInt8.self, .notANumber)
    try store.put([0xff, 0xfe], forKey: "value")
    #expect(code { try store.get("value", as: Int.self) } == .notANumber)
  }

  // MARK: Other numbers

  @Test func floatingPointNumbersComeBackExactly() throws {
    var generator = SeededGenerator(seed: testSeed("floatingPointNumbersComeBackExactly"))
    for number in [0.0, -0.0, 0.1, 1e300, .pi, .leastNonzeroMagnitude, .greatestFiniteMagnitude, -.infinity] {
      try expectWritten(number, as: "\(number)")
      #expect(try store.get("value", as: Double.self)?.sign == number.sign)
    }
    for _ in 0..<1_000 {
      let number = Double(bitPattern: generator.next())
      if !number.isNaN { try expectWritten(number, as: "\(number)") }
      let small = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
      if !small.isNaN { try expectWritten(small, as: "\(small)") }
    }
    try store.put(Double.nan, forKey: "value")
    #expect(try store.get("value", as: String.self) == "nan")
    #expect(try store.get("value", as: Double.self)?.isNaN == true)
    try store.put(-Double.nan, forKey: "value")
    #expect(try store.get("value", as: String.self) == "nan")
  }

  @Test func otherDecimalTextsAreFloatingPointNumbersToo() throws {
    for (text, number) in [("3", 3.0), ("-2.50", -2.5), ("1e9", 1e9), ("1E-2", 0.01), (".5", 0.5)] {
      try store.put(text, forKey: "value")
      #expect(try store.get("value", as: Double.self) == number)
    }
    try expectRefused(
      [
        "", "+5", " 1", "0x10", "0x1p3", "1e999", "-1e999", "infinity", "NaN", "nan(0x1)", "snan", "1,5", "x",
      ],
      as: Double.self, .notANumber)
    try expectRefused(["1e39", "\(Double.greatestFiniteMagnitude)"], as: Float.self, .notANumber)
  }

  @Test func plusAndMinusZeroAreDifferentKeys() throws {
    try store.put("plus", forKey: 0.0)
    try store.put("minus", forKey: -0.0)
    #expect(try store.get(0.0, as: String.self) == "plus")
    #expect(try store.get(-0.0, as: String.self) == "minus")
  }

  @Test func truthValues() throws {
    try expectWritten(true, as: "true")
    try expectWritten(false, as: "false")
    try expectRefused(["", "True", "1", "0", "yes", "true "], as: Bool.self, .invalidValue)
  }

  // MARK: Raw values

  private enum Color: String, Store.ByteSource, Store.ByteDecodable {
    case red, darkBlue = "dark blue"
  }

  private enum Level: Int8, Store.ByteSource, Store.ByteDecodable {
    case low = -1, high = 100
  }

  private struct Rights: OptionSet, Store.ByteSource, Store.ByteDecodable {
    let rawValue: UInt16
    static let read = Rights(rawValue: 1)
    static let write = Rights(rawValue: 2)
  }

  @Test func typesWithRawValuesAreStoredAsThese() throws {
    try expectWritten(Color.darkBlue, as: "dark blue")
    try expectWritten(Level.low, as: "-1")
    try expectWritten([.read, .write] as Rights, as: "3")
    try expectRefused(["", "green", "Red"], as: Color.self, .invalidValue)
    try expectRefused(["0", "1"], as: Level.self, .invalidValue)
    try expectRefused(["low", "300"], as: Level.self, .notANumber)
  }

  // MARK: Types of Foundation

  @Test func uuids() throws {
    let id = try #require(UUID(uuidString: "e621e1f8-c36c-495a-93fc-0c247a3e6e5f"))
    try expectWritten(id, as: "E621E1F8-C36C-495A-93FC-0C247A3E6E5F")
    try store.put(id.uuidString.lowercased(), forKey: "value")
    #expect(try store.get("value", as: UUID.self) == id)
    try expectRefused(["", "E621E1F8", "E621E1F8-C36C-495A-93FC-0C247A3E6E5G"], as: UUID.self, .invalidValue)
  }

  @Test func datesComeBackExactly() throws {
    var generator = SeededGenerator(seed: testSeed("datesComeBackExactly"))
    try expectWritten(Date(timeIntervalSinceReferenceDate: 0.1), as: "0.1")
    for _ in 0..<200 {
      let seconds = Double(generator.below(1 << 40)) / 1_000 - 1e8 + 1e-7
      try expectWritten(Date(timeIntervalSinceReferenceDate: seconds), as: "\(seconds)")
    }
    try expectRefused(["", "2001-01-01"], as: Date.self, .notANumber)
  }

  // MARK: Where they go

  @Test func literalsMeanWhatTheyMeantBefore() throws {
    try store.put([1, 2, 3], forKey: [0xff])
    #expect(try store.get([0xff]) == [1, 2, 3])
    // One key, also where nothing says what the result is to be.
    let key: [UInt8] = [0xff]
    let (byLiteral, byArray, byData) = try (store.get([0xff]), store.get(key), store.get(Data(key)))
    #expect([byLiteral, byArray, byData] == [[1, 2, 3], [1, 2, 3], [1, 2, 3]] as [[UInt8]?])
    let several = try store.get([1, 2] as [Int])
    #expect(several == [nil, nil] as [[UInt8]?])
    try store.put([], forKey: [])
    #expect(try store.get([] as [UInt8]) == [])
    try store.put("\(1)", forKey: "text \(2)")
    #expect(try store.get("text 2", as: Int.self) == 1)
    try store.put(contentsOf: [("a", 1), ("b", 2)])
    try store.put(contentsOf: [1: true, 2: false])
    #expect(try store.get(["a", "1"]) == [bytes("1"), bytes("true")])
  }

  @Test func transactionsAndSnapshotsReadThemToo() throws {
    try store.transaction { transaction in
      try transaction.put(5, forKey: 1)
      #expect(try transaction.get(1, as: Int.self) == 5)
      #expect(code { try transaction.get(1, as: Bool.self) } == .invalidValue)
    }
    let snapshot = try store.snapshot()
    #expect(try snapshot.get(1, as: Int.self) == 5)
    let error = #expect(throws: Store.Error.self) { try snapshot.get(1, as: Bool.self) }
    #expect(
      error?.message == "store in memory: key '1': the value (1 bytes) is neither 'true' nor 'false'")
  }

  @Test func messagesEscapeTheKey() throws {
    try store.put("x", forKey: "a\n\u{1b}'\\")
    let error = #expect(throws: Store.Error.self) { try store.get("a\n\u{1b}'\\", as: UInt8.self) }
    #expect(
      error?.message
        == #"store in memory: key 'a\n\x1b'\\': the value (1 bytes) is not a whole number from 0 to 255 "#
        + "in decimal digits, without + and leading zeros")
  }
}
