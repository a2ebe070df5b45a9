import Foundation

struct Arguments {
  private(set) var count = 1_000_000
  private(set) var rounds = 5
  private(set) var keyBytes = 16
  private(set) var valueBytes = 100
  private(set) var directory = FileManager.default.temporaryDirectory.path
  /// Names of phases and contenders; nil for all.
  private(set) var only: [String]?
  private(set) var contenders: [String]?
  private(set) var json: String?
  private(set) var chart: String?
  /// Set in the processes that this program starts for each contender.
  private(set) var contender: String?

  static let usage = """
    usage: kvmap-benchmark [COUNT] [OPTION VALUE]…

      COUNT                    records (1,000,000)
      --key-bytes N            length of a key (16), a multiple of 8
      --value-bytes N          length of a value (100), at least 8
      --rounds N               rounds (5); a figure is their median
      --directory DIRECTORY    for the files, on the disk to be measured (the temporary directory)
      --only PHASE,…           some of \(Phase.all.map(\.name).joined(separator: ", "))
      --contenders NAME,…      some of \(Contenders.all.map { $0.about.identifier }.joined(separator: ", "))
      --json FILE              writes the figures of all rounds to it
      --chart FILE             draws the times as multiples of KVMap's (SVG)
    """

  struct Usage: Error, CustomStringConvertible {
    var description: String { Arguments.usage }
  }

  init(_ words: some Sequence<String>) throws {
    var words = words.makeIterator()
    func value() throws -> String {
      guard let word = words.next() else { throw Usage() }
      return word
    }
    while let word = words.next() {
      switch word {
      case "--key-bytes": keyBytes = try Self.number(try value())
      case "--value-bytes": valueBytes = try Self.number(try value())
      case "--rounds": rounds = try Self.number(try value())
      case "--directory": directory = try value()
      case "--only": only = try value().split(separator: ",").map(String.init)
      case "--contenders": contenders = try value().split(separator: ",").map(String.init)
      case "--json": json = try value()
      case "--chart": chart = try value()
      case "--contender": contender = try value()
      default: count = try Self.number(word)
      }
    }
    guard keyBytes % 8 == 0, valueBytes >= 8 else { throw Usage() }
  }

  private static func number(_ word: String) throws -> Int {
    guard let number = Int(word.filter { $0 != "," && $0 != "_" }), number > 0 else { throw Usage() }
    return number
  }

  var workload: Workload { Workload(count: count, keyBytes: keyBytes, valueBytes: valueBytes) }

  /// For the process of one contender.
  func words(for contender: String) -> [String] {
    var words = ["\(count)", "--key-bytes", "\(keyBytes)", "--value-bytes", "\(valueBytes)"]
    words += ["--directory", directory, "--contender", contender]
    if let only { words += ["--only", only.joined(separator: ",")] }
    return words
  }
}
