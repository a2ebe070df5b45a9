/// A rule that the source keeps, an edit that breaks it, and the tests that should see this.
struct Mutation {
  /// The rule, as a sentence that is true of the source as it is.
  var what: String
  var edits: [Edit]
  /// They run in this order, until one fails.
  var tests: [TestRun]
  /// Why no test sees it, where that is so.
  var survives: String?

  init(
    _ what: String, in file: String, _ edits: Edit..., seenBy tests: TestRun..., survives: String? = nil
  ) {
    self.what = what
    self.edits = edits.map { edit in
      var edit = edit
      if edit.file.isEmpty { edit.file = file }
      return edit
    }
    self.tests = tests
    self.survives = survives
  }

  static let all: [Mutation] =
    checkpoints + vouching + recovery + endOfLog + logWriting + writing + turns + reading + salvage + damage
    + reuse + backups
    + spaceTable + moving + givingBack + merging + locks + creating + mapping
}

/// A change of one place in the source, in effect while the mutation is on.
struct Edit {
  var file = ""
  /// The source text there; how it is broken into lines does not matter.
  var text: String
  /// `text` is looked for after this text. Without it, `text` must occur once in the file.
  var anchor: String?
  /// What replaces it: `TEXT` stands for it, `MUTATED` for "the mutation is on".
  var replacement: String

  /// Leaves a statement out, always or where a condition holds.
  static func leaveOut(_ text: String, when condition: String = "true", after anchor: String? = nil) -> Edit {
    let guarded = condition == "true" ? "!MUTATED" : "!(MUTATED && \(condition))"
    return Edit(text: text, anchor: anchor, replacement: "if \(guarded) { TEXT }")
  }

  /// Takes a condition for true without a look.
  static func takeForTrue(_ text: String, after anchor: String? = nil) -> Edit {
    Edit(text: text, anchor: anchor, replacement: "(MUTATED ? true : TEXT)")
  }

  /// Takes a condition for false without a look.
  static func takeForFalse(_ text: String, after anchor: String? = nil) -> Edit {
    Edit(text: text, anchor: anchor, replacement: "(MUTATED ? false : TEXT)")
  }

  static func replace(_ text: String, by replacement: String, after anchor: String? = nil) -> Edit {
    Edit(text: text, anchor: anchor, replacement: replacement)
  }

  /// Does something before a statement.
  static func before(_ text: String, _ statements: String, after anchor: String? = nil) -> Edit {
    Edit(text: text, anchor: anchor, replacement: "if MUTATED { \(statements) }\n TEXT")
  }

  func `in`(_ file: String) -> Edit {
    var copy = self
    copy.file = file
    return copy
  }
}
