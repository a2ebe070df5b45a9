import ArgumentParser
import KVMap
import SystemPackage

struct Keys: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys",
    abstract: "Print keys that match a pattern, expire, or have the largest values.",
    discussion: """
      One key a line, in no particular order. In a PATTERN, * stands for any characters, ? for one, [a-z] for one of \
      these, [!a-z] for one of all others, and \\ before a character for itself; everything else stands for itself. It \
      has to match the whole key.

      With --largest, the keys with the largest values, the largest first. The size of the value and a tab stand before \
      each key. With --expiring, only keys that expire, each after the time that it has to live. On a terminal sizes and \
      times have units, elsewhere they are in bytes and whole seconds. -0 is as in 'kvmap list'.

      All keys are looked at, for --largest all records: O(n).

      EXAMPLES
        kvmap keys users.kvmap --pattern 'session:*'
        kvmap keys pictures.kvmap --largest 10
        kvmap keys cache.kvmap --expiring | sort -n | head
        kvmap keys users.kvmap -0 --pattern '*:old' | kvmap delete -0 users.kvmap
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Option(help: "Only keys that match this.")
  var pattern: String = "*"

  @Option(help: ArgumentHelp("The keys with the N largest values, and their sizes.", valueName: "n"))
  var largest: Int?

  @Flag(help: "Only keys that expire, and how long they have to live.")
  var expiring = false

  @Flag(
    name: [.customShort("0"), .customLong("null")],
    help: "End each key, size and time with a zero byte; lossless.")
  var null = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let largest, largest < 0 { throw ValidationError("--largest has to be 0 or more") }
    if Glob(pattern) == nil {
      throw ValidationError("In --pattern, a [ has no ], or a \\ is the last character")
    }
  }

  func run() throws {
    guard let glob = Glob(pattern) else { return }
    let store = try openForReading()
    var rows = Rows(null: null)
    if let largest {
      for (key, size) in try self.largest(largest, glob, store) {
        try append(key, size: size, store, to: &rows)
      }
    } else {
      for key in store.entries(withPrefix: glob.prefix).keys {
        let key = try key.get()
        if glob.matches(key) { try append(key, size: nil, store, to: &rows) }
      }
    }
    try rows.flush()
  }

  /// Prints a row, unless the key has no place in it.
  private func append(_ key: [UInt8], size: Int?, _ store: Store, to rows: inout Rows) throws {
    var fields: [[UInt8]] = []
    let hasUnits = !null && Terminal.isTerminal(.standardOutput)
    if let size { fields.append(Array((hasUnits ? Quantity.bytes(size) : "\(size)").utf8)) }
    if expiring {
      guard let left = try store.expiry(ofKey: key)?.timeLeft else { return }
      fields.append(Array((hasUnits ? Quantity.duration(left) : "\(left.wholeSeconds)").utf8))
    }
    try rows.append(fields + [key])
  }

  private func largest(_ limit: Int, _ glob: Glob, _ store: Store) throws -> [(key: [UInt8], size: Int)] {
    var found: [(key: [UInt8], size: Int)] = []
    func keepLargest() {
      found.sort { $0.size > $1.size }
      found.removeSubrange(min(limit, found.count)...)
    }
    try store.forEach { key, value in
      let key = try [UInt8](copying: key)
      guard glob.matches(key) else { return }
      if expiring, try store.expiry(ofKey: key)?.timeLeft == nil { return }
      found.append((key, value.byteCount))
      if found.count > 1_024 + 2 * min(limit, 1 << 40) { keepLargest() }
    }
    keepLargest()
    return found
  }
}
