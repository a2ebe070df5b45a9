import ArgumentParser

/// What is said of a wrong command line beyond the parser's own message.
enum UsageHints {
  /// Refuses a first argument that is no subcommand, alone or after `help`, and suggests one.
  ///
  /// The parser prints the root command's help for `help` with any word, and counts the arguments
  /// that follow an unknown subcommand.
  static func refuseUnknownVerb(_ arguments: [String]) throws {
    guard var word = arguments.first else { return }
    if word == "help" {
      guard let topic = arguments.dropFirst().first else { return }
      word = topic
    }
    let verbs = RootCommand.configuration.subcommands.map { $0._commandName } + ["help"]
    guard !word.hasPrefix("-"), !verbs.contains(word) else { return }
    let suggestion = nearest(to: word, among: verbs).map { "; did you mean '\($0)'?" }
    throw ValidationError("There is no subcommand '\(word)'\(suggestion ?? "")")
  }

  /// The verb that the fewest letters, inserted or removed, make of `word`: at most two, so that one letter
  /// may be wrong or two swapped. Else one of which `word` is the beginning, or that begins `word`.
  static func nearest(to word: String, among verbs: [String]) -> String? {
    let distances = verbs.map { (verb: $0, distance: word.difference(from: $0).count) }
    let closest = distances.min { $0.distance < $1.distance }
    if let closest, closest.distance <= 2 { return closest.verb }
    return verbs.first { !word.isEmpty && $0.hasPrefix(word) || word.hasPrefix($0) }
  }

  /// The parser's text about a wrong command line, without its label. After its first line comes a hint if the
  /// parser may have taken a value for an option.
  static func addHint(to text: String, about arguments: [String]) -> String {
    let label = "Error: "
    let message = text.hasPrefix(label) ? text.dropFirst(label.count) : text[...]
    guard let hint = hint(message, arguments) else { return String(message) }
    let firstLine = message.prefix { $0 != "\n" }
    return firstLine + "\n" + hint + message[firstLine.endIndex...]
  }

  /// The parser's errors are not public: their texts are all that tells them apart.
  private static func hint(_ message: Substring, _ arguments: [String]) -> String? {
    let noValue = "Missing value for '"
    if message.hasPrefix(noValue) {
      let option = message.dropFirst(noValue.count).prefix { $0 != " " && $0 != "'" }
      // Nothing follows the option: its value was forgotten.
      if arguments.last == String(option) { return nil }
      return "A value that begins with - is joined to its option: \(option)=-5"
    }
    // The parser leaves out what it does not know, and may first miss an operand.
    let hasNegativeNumber = arguments.prefix { $0 != "--" }
      .contains { $0 != "-0" && $0.hasPrefix("-") && $0.dropFirst().first?.isNumber == true }
    if hasNegativeNumber || message.hasPrefix("Unknown option '") {
      return "Options come first, then -- before a key or a value that begins with -: put STORE -- KEY -5"
    }
    return nil
  }
}
