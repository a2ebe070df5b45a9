import CFuzzer

/// The first argument chooses what is fuzzed. All further ones are for libFuzzer.
@main
enum Fuzz {
  static func main() {
    let arguments = CommandLine.arguments
    let callbacks: [String: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt] = [
      "image": { ImageTarget.shared.run(Fuzz.input($0, $1), isChanged: false) },
      "operations": { ImageTarget.shared.run(Fuzz.input($0, $1), isChanged: true) },
      "jsonl": { DumpTarget.read(Fuzz.input($0, $1), .jsonl) },
      "gdbm": { DumpTarget.read(Fuzz.input($0, $1), .gdbm) },
      "gdbm-binary": { DumpTarget.read(Fuzz.input($0, $1), .gdbmBinary) },
      "csv": { DumpTarget.readTable(Fuzz.input($0, $1), .commas) },
      "tsv": { DumpTarget.readTable(Fuzz.input($0, $1), .tabs) },
      "keys": { DumpTarget.readKeys(Fuzz.input($0, $1)) },
      "batch": { DumpTarget.readBatch(Fuzz.input($0, $1)) },
    ]
    guard arguments.count > 1, let callback = callbacks[arguments[1]] else {
      let names = callbacks.keys.sorted().joined(separator: "|")
      fatalError("usage: Fuzz \(names) [options of libFuzzer] [corpus]")
    }
    let texts = [arguments[0]] + arguments.dropFirst(2)
    var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { text in
      let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.utf8.count + 1)
      for (index, byte) in text.utf8.enumerated() { copy[index] = CChar(bitPattern: byte) }
      copy[text.utf8.count] = 0
      return copy
    }
    pointers.append(nil)
    var count = CInt(texts.count)
    pointers.withUnsafeMutableBufferPointer { buffer in
      var start = buffer.baseAddress
      _ = LLVMFuzzerRunDriver(&count, &start, callback)
    }
  }

  private static func input(_ data: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    Array(UnsafeBufferPointer(start: data, count: count))
  }
}

/// Random choices that the fuzzer makes, with two bytes of its input for each.
struct InputGenerator: RandomNumberGenerator {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position >= bytes.count }

  mutating func next() -> UInt64 {
    var number: UInt64 = 0
    for _ in 0..<2 where position < bytes.count {
      number = number << 8 | UInt64(bytes[position])
      position += 1
    }
    // In the upper bits too, since some callers shift them down.
    return number &* 0x0001_0001_0001_0001
  }
}
