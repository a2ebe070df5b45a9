/// A subcommand that scripts call so often that the start of the process counts.
///
/// The parser learns the options of a subcommand by reflection, anew in each process, and that takes longer than
/// opening a store. A command line without options is therefore read without it: it names the subcommand,
/// and its operands follow.
protocol PlainCommand: StoreCommand {
  /// What the parser would make of the operands; nil if it has to look at them.
  init?(operands: ArraySlice<String>)
}

/// The subcommand of a command line without options; nil if the parser has to read it.
func plainCommand(_ arguments: [String]) -> (any PlainCommand)? {
  let operands = arguments.dropFirst()
  // "-" alone is an operand for the parser too, but not here: one rule is enough.
  guard !operands.contains(where: { $0.utf8.first == UInt8(ascii: "-") }) else { return nil }
  return switch arguments.first {
  case "get": Get(operands: operands)
  case "put": Put(operands: operands)
  case "exists": Exists(operands: operands)
  case "delete": Delete(operands: operands)
  default: nil
  }
}

extension KeyArgument {
  /// Nil if the key is not valid.
  init?(operand: String) {
    self.init()
    key = operand
    encoding = nil
    guard (try? bytes()) != nil else { return nil }
  }
}

extension KeysArgument {
  /// Nil if there is none, or one is not valid.
  init?(operands: ArraySlice<String>) {
    self.init()
    (key, null, encoding) = (Array(operands), false, nil)
    guard !key.isEmpty, (try? arguments()) != nil else { return nil }
  }
}

extension Get: PlainCommand {
  init?(operands: ArraySlice<String>) {
    guard let store = operands.first, let keys = KeysArgument(operands: operands.dropFirst()) else {
      return nil
    }
    self.init()
    (self.store, self.keys, common) = (store, keys, .usual)
    (format, `default`, output) = (nil, nil, nil)
  }
}

extension Put: PlainCommand {
  init?(operands: ArraySlice<String>) {
    guard operands.count == 3, let store = operands.first,
      let key = operands.dropFirst().first.flatMap(KeyArgument.init)
    else { return nil }
    self.init()
    (self.store, self.key, durable, common) = (store, key, .usual, .usual)
    (value, file, noCreate, condition, ttl) = (operands.last, nil, false, nil, nil)
  }
}

extension Exists: PlainCommand {
  init?(operands: ArraySlice<String>) {
    guard let store = operands.first, let keys = KeysArgument(operands: operands.dropFirst()) else {
      return nil
    }
    self.init()
    (self.store, self.keys, common) = (store, keys, .usual)
  }
}

extension Delete: PlainCommand {
  init?(operands: ArraySlice<String>) {
    guard let store = operands.first, let keys = KeysArgument(operands: operands.dropFirst()) else {
      return nil
    }
    self.init()
    (self.store, self.keys, common) = (store, keys, .usual)
    (prefix, confirmation, durable) = (nil, .usual, .usual)
  }
}
