import Foundation
import Testing

/// Where `.ci/install-command` puts what belongs to the command.
private let share = Tool.url.deletingLastPathComponent().deletingLastPathComponent()
  .appendingPathComponent("share")

private let isInstalled = FileManager.default.fileExists(
  atPath: share.appendingPathComponent("kvmap/installed").path)

/// The files beside an installed command. `.ci/run test` installs it, and checks that removing it leaves nothing.
@Suite("Installed", .enabled(if: isInstalled, "KVMAP_COMMAND names no installed kvmap"))
struct InstallTests {
  private func text(_ path: String) throws -> String {
    try String(contentsOf: share.appendingPathComponent(path), encoding: .utf8)
  }

  @Test("are a page of the manual for the command and for each verb")
  func manual() throws {
    let page = try text("man/man1/kvmap.1")
    for verb in HelpTests.verbs {
      #expect(page.contains("kvmap-\(verb) 1"))
      #expect(try text("man/man1/kvmap-\(verb).1").contains("EXAMPLES"))
    }
  }

  @Test(
    "are completions of three shells",
    arguments: [
      "bash-completion/completions/kvmap", "zsh/site-functions/_kvmap",
      "fish/vendor_completions.d/kvmap.fish",
    ])
  func completions(path: String) throws {
    let script = try text(path)
    for verb in HelpTests.verbs { #expect(script.contains(verb)) }
  }

  @Test("let bash complete a verb")
  func completion() throws {
    let run = try Tool.script(
      """
      PATH=$(dirname "$0"):$PATH exec bash -c '
        . "$0/bash-completion/completions/kvmap"
        COMP_WORDS=(kvmap sal) COMP_CWORD=1 COMP_LINE="kvmap sal" COMP_POINT=9
        _kvmap kvmap sal kvmap
        echo "${COMPREPLY[@]}"' '\(share.path)'
      """, in: Directory())
    #expect(run.lines == ["salvage"], "\(run)")
  }
}
