import Foundation

struct Arguments {
  var count = 1_000_000
  var rounds = 3
  var directory = FileManager.default.temporaryDirectory.path
  /// Set in the processes that this program starts for each contender.
  var contender: String?

  struct Usage: Error, CustomStringConvertible {
    let description = "usage: kvmap-benchmark [COUNT] [--rounds ROUNDS] [--directory DIRECTORY]"
  }

  init(_ words: some Sequence<String>) throws {
    var words = words.makeIterator()
    while let word = words.next() {
      switch word {
      case "--rounds": rounds = try Self.number(words.next())
      case "--directory":
        guard let value = words.next() else { throw Usage() }
        directory = value
      case "--contender": contender = words.next()
      default: count = try Self.number(word)
      }
    }
  }

  private static func number(_ word: String?) throws -> Int {
    guard let word, let number = Int(word.filter { $0 != "," && $0 != "_" }), number > 0 else {
      throw Usage()
    }
    return number
  }

  var words: [String] { ["\(count)", "--directory", directory] }
}
