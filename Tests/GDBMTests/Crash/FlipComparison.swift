import Foundation
import SystemPackage
import TestSupport

/// Flips single bits of a small, closed file, and reads all of its records. For exit tests.
struct FlipComparison {
  /// The effect of a flipped bit, from best to worst.
  enum Outcome: Int, CaseIterable {
    /// Every record was read, and a key that is not there was not found.
    case right
    /// Opening or reading threw an error; what was returned was right.
    case error
    /// A value was wrong, or a key was absent that is there, without an error.
    case silent
    /// Reading did not come to an end.
    case hang
    /// Reading ended the process.
    case crash
  }

  let subject: any CrashSubject
  let scratch: Scratch
  let seed: UInt64

  /// Small records, and a few larger ones.
  static let records: CrashScript.Contents = {
    var generator = SeededGenerator(seed: 2)
    return CrashScript.Contents(
      uniqueKeysWithValues: (0..<60).map { number in
        (Array("key \(number)".utf8), generator.bytes(generator.number(1...(number % 20 == 0 ? 2_000 : 60))))
      })
  }()

  /// Flips one random bit of each byte that is not in an empty page, in `flips` bytes at most.
  func run(_ flips: Int) throws -> (bytes: Int, outcomes: [Outcome: Int]) {
    let path = scratch.path("flipped")
    try subject.create(path, Self.records)
    let image = try contents(path)
    var generator = SeededGenerator(seed: seed)
    let page = 4_096
    let used = stride(from: 0, to: image.count, by: page).filter { start in
      image[start..<min(start + page, image.count)].contains { $0 != 0 }
    }
    var places = used.flatMap { Array($0..<min($0 + page, image.count)) }
    let bytes = places.count
    places.shuffle(using: &generator)
    places = Array(places.prefix(flips))
    let masks = places.map { _ in UInt8(1) << UInt8(generator.number(0...7)) }
    // The first word is the number of the present flip. Each further one is an outcome.
    let words = SharedBytes(8 * (places.count + 1))
    while words[0] < places.count {
      // Undoes what a child changed that died.
      try write(image, to: path)
      let child = ForkedChild(isQuiet: true) {
        let file = try FileDescriptor.open(path, .readWrite)
        while words[0] < places.count {
          let place = places[words[0]]
          ForkedChild.limitTime(seconds: 5)
          _ = try file.writeAll(toAbsoluteOffset: Int64(place), [image[place] ^ masks[words[0]]])
          words[1 + words[0]] = outcome(path).rawValue
          _ = try file.writeAll(toAbsoluteOffset: Int64(place), [image[place]])
          words[0] += 1
        }
      }
      let end = child.wait()
      if words[0] < places.count {
        words[1 + words[0]] = (end.isTimeout ? Outcome.hang : .crash).rawValue
        words[0] += 1
      }
    }
    var outcomes: [Outcome: Int] = [:]
    for index in places.indices { outcomes[Outcome(rawValue: words[1 + index]) ?? .crash, default: 0] += 1 }
    return (bytes, outcomes)
  }

  private func outcome(_ path: FilePath) -> Outcome {
    var worst = Outcome.right
    func note(_ outcome: Outcome) { if outcome.rawValue > worst.rawValue { worst = outcome } }
    do {
      try subject.read(path) { get in
        for (key, value) in Self.records {
          do { if try get(key) != value { note(.silent) } } catch { note(.error) }
        }
        do { if try get(Array("no key".utf8)) != nil { note(.silent) } } catch { note(.error) }
      }
    } catch {
      note(.error)
    }
    return worst
  }
}
