import Foundation
import KVMap
import SystemPackage
import TestSupport
import Testing

/// A golden store with damage: a line of `damaged.tsv`.
struct DamagedStore: CustomTestStringConvertible, Sendable {
  /// A change of the file.
  enum Edit: Sendable {
    case flip(offset: Int, bit: Int)
    case write(offset: Int, [UInt8])
    case truncate(length: Int)
  }

  /// What opening and reading it must give.
  enum Outcome: Sendable, Equatable {
    /// Everything, since what is damaged is there twice.
    case whole
    /// Opening is refused.
    case refused(String)
    /// Everything can be read; opening for writing is refused.
    case readable
    /// What was damaged is an error, the rest is right.
    case partly
    /// It opens, and every key is an error.
    case unreadable
  }

  let name: String
  let base: String
  let edits: [Edit]
  let outcome: Outcome

  var testDescription: String { name }

  static let list = Fixtures.stores.appending("v1").appending("damaged.tsv")

  static let all: [DamagedStore] = {
    guard let bytes = try? contents(list) else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap(DamagedStore.init)
  }()

  /// The undamaged files by name.
  private static let bases: [String: Data] = {
    var bases: [String: Data] = [:]
    guard let scratch = try? Scratch() else { return bases }
    for golden in GoldenStore.all {
      let path = scratch.path(golden.name)
      try? SparseImage(encoded: contents(golden.image)).restore(to: path)
      bases[golden.name] = try? data(path)
    }
    return bases
  }()

  /// The file's bytes.
  func bytes() throws -> Data {
    var bytes = try #require(Self.bases[base])
    for edit in edits {
      switch edit {
      case .flip(let offset, let bit): bytes[offset] ^= 1 << UInt8(bit)
      case .write(let offset, let new): bytes.replaceSubrange(offset..<offset + new.count, with: new)
      case .truncate(let length): bytes = bytes.prefix(length)
      }
    }
    return bytes
  }

  var right: [[UInt8]: [UInt8]] { GoldenStore.all.first { $0.name == base }?.contents() ?? [:] }
}

// MARK: Lines

extension DamagedStore {
  init?(_ line: Substring) {
    let fields = line.split(separator: "\t")
    guard fields.count == 4 else { return nil }
    let edits = fields[2].split(separator: ";").compactMap { Edit($0) }
    guard !edits.isEmpty, let outcome = Outcome(fields[3]) else { return nil }
    self.init(name: String(fields[0]), base: String(fields[1]), edits: edits, outcome: outcome)
  }

  var line: String { "\(name)\t\(base)\t\(edits.map(\.text).joined(separator: ";"))\t\(outcome.text)\n" }
}

extension DamagedStore.Edit {
  init?(_ text: Substring) {
    let words = text.split(separator: " ")
    guard words.count >= 2, let number = Int(words[1]) else { return nil }
    switch (words[0], words.count) {
    case ("truncate", 2): self = .truncate(length: number)
    case ("flip", 3):
      guard let bit = Int(words[2]) else { return nil }
      self = .flip(offset: number, bit: bit)
    case ("write", 3...): self = .write(offset: number, words[2...].compactMap { UInt8($0, radix: 16) })
    default: return nil
    }
  }

  var text: String {
    switch self {
    case .flip(let offset, let bit): "flip \(offset) \(bit)"
    case .write(let offset, let bytes):
      "write \(offset) " + bytes.map { String($0, radix: 16) }.joined(separator: " ")
    case .truncate(let length): "truncate \(length)"
    }
  }
}

extension DamagedStore.Outcome {
  init?(_ text: Substring) {
    switch text {
    case "whole": self = .whole
    case "readable": self = .readable
    case "partly": self = .partly
    case "unreadable": self = .unreadable
    default:
      guard text.hasPrefix("refused ") else { return nil }
      self = .refused(String(text.dropFirst("refused ".count)))
    }
  }

  var text: String {
    switch self {
    case .whole: "whole"
    case .readable: "readable"
    case .partly: "partly"
    case .unreadable: "unreadable"
    case .refused(let code): "refused \(code)"
    }
  }
}
