/// A pattern for whole keys: `*` stands for any characters, `?` for one, `[a-z]` for one of these, `[!a-z]` for one
/// of all others, and a backslash before a character for itself.
struct Glob {
  private enum Element {
    case one(Character)
    case oneOf([ClosedRange<Character>], negated: Bool)
    case any
    case anyNumber
  }

  /// A Unicode scalar, or a byte that is not valid UTF-8, as a number above all scalars.
  private typealias Character = UInt32

  private var elements: [Element] = []
  /// What a key that matches begins with.
  let prefix: [UInt8]

  /// Nil if a bracket stays open, or nothing comes after a last backslash.
  init?(_ pattern: String) {
    prefix = Array(pattern.utf8.prefix { !"*?[\\".utf8.contains($0) })
    var rest = pattern.unicodeScalars[...]
    while let scalar = rest.popFirst() {
      switch scalar {
      case "*": elements.append(.anyNumber)
      case "?": elements.append(.any)
      case "[":
        guard let set = Self.set(&rest) else { return nil }
        elements.append(set)
      case "\\":
        guard let escaped = rest.popFirst() else { return nil }
        elements.append(.one(escaped.value))
      default: elements.append(.one(scalar.value))
      }
    }
  }

  /// What stands in brackets, after the first of them. A bracket that closes comes first if it is meant itself.
  private static func set(_ rest: inout Substring.UnicodeScalarView) -> Element? {
    let isNegated = rest.first == "!" || rest.first == "^"
    if isNegated { rest.removeFirst() }
    var ranges: [ClosedRange<Character>] = []
    while let first = rest.popFirst() {
      if first == "]", !ranges.isEmpty { return .oneOf(ranges, negated: isNegated) }
      var last = first
      if rest.first == "-", let end = rest.dropFirst().first, end != "]" {
        rest.removeFirst(2)
        last = end
      }
      ranges.append(first.value...max(first.value, last.value))
    }
    return nil
  }

  func matches(_ key: [UInt8]) -> Bool {
    if elements.count == 1, case .anyNumber = elements[0] { return true }
    let text = Self.characters(key)
    var (element, position) = (0, 0)
    // Where to go on if what comes after the last `*` does not match: that takes one character more then.
    var retry: (element: Int, position: Int)?
    while position < text.count || element < elements.count {
      if element < elements.count {
        if case .anyNumber = elements[element] {
          retry = (element, position)
          element += 1
          continue
        }
        if position < text.count, Self.matches(elements[element], text[position]) {
          element += 1
          position += 1
          continue
        }
      }
      guard let last = retry, last.position < text.count else { return false }
      (element, position) = (last.element + 1, last.position + 1)
      retry = (last.element, last.position + 1)
    }
    return true
  }

  private static func matches(_ element: Element, _ character: Character) -> Bool {
    switch element {
    case .one(let wanted): character == wanted
    case .oneOf(let ranges, let isNegated): ranges.contains { $0.contains(character) } != isNegated
    case .any, .anyNumber: true
    }
  }

  private static func characters(_ key: [UInt8]) -> [Character] {
    var characters: [Character] = []
    characters.reserveCapacity(key.count)
    var parser = Unicode.UTF8.ForwardParser()
    var remaining = key.makeIterator()
    var position = 0
    while true {
      switch parser.parseScalar(from: &remaining) {
      case .valid(let encoded):
        characters.append(Unicode.UTF8.decode(encoded).value)
        position += encoded.count
      case .error(let length):
        for byte in key[position..<position + length] { characters.append(0x11_0000 + Character(byte)) }
        position += length
      case .emptyInput:
        return characters
      }
    }
  }
}
