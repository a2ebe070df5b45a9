import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite("report", .timeLimit(.minutes(5)))
struct ReportTests {
  let directory: Directory

  init() throws { directory = try Directory() }

  /// The page, which has to be well-formed and to load nothing.
  private func report(_ store: String) throws -> String {
    let run = try directory.kvmap("report", store)
    #expect(run.status == 0)
    #expect(run.errors == "")
    expectWellFormed(run.output)
    let withoutNames = run.text.replacing("http://www.w3.org/1999/xhtml", with: "")
    for word in ["http:", "https:", "src=", "href=", "url(", "<script", "@import"] {
      #expect(!withoutNames.contains(word), "\(word)")
    }
    #expect(run.text.contains("default-src 'none'"))
    #expect(run.text.contains("prefers-color-scheme:dark"))
    return run.text
  }

  @Test("of an empty store, of one record, and of large ones beside them")
  func small() throws {
    try #require(try directory.kvmap("put", "s.kvmap", "k", "v").status == 0)
    let one = try report("s.kvmap")
    #expect(one.contains("1 record with 1 byte of keys and 1 byte of values"))
    #expect(one.contains("<td class=\"k\"><bdi>k</bdi></td>"))
    try #require(try directory.kvmap("delete", "s.kvmap", "k").status == 0)
    #expect(try report("s.kvmap").contains("The store is empty."))
    let large = [UInt8](repeating: 1, count: 3 << 20)
    try #require(try directory.kvmap("put", "s.kvmap", "large", input: large).status == 0)
    let page = try report("s.kvmap")
    #expect(page.contains("large values: 3.0 MiB"))
    #expect(page.contains("class=\"u-large\""))
  }

  @Test("shows keys as text, whatever they contain")
  func hostile() throws {
    let keys = [
      "</title><script>alert(1)</script>", #""><img src=x onerror=alert(1)>"#, "]]><!--", "'&amp;",
      "\u{202E}left",
      "a\u{0}\u{B}\u{1B}[2J", "\u{FFFF}\u{FFFE}", "</svg></style>", "${x}`", "",
      String(repeating: "<", count: 5000),
    ]
    for key in keys {
      let hex = key.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      try #require(try directory.kvmap("put", "s.kvmap", "--key-hex", hex, "longer").status == 0)
      // Several begin with it, so that it is a prefix in the treemap too.
      for more in ["3a61", "3a62", "3a63"] {
        try #require(try directory.kvmap("put", "s.kvmap", "--key-hex", hex + more, "v").status == 0)
      }
    }
    try #require(try directory.kvmap("put", "s.kvmap", "--key-hex", "ff3c80", "longer").status == 0)
    let run = try directory.kvmap("report", "s.kvmap")
    expectWellFormed(run.output)
    #expect(!run.text.contains("<script"))
    #expect(!run.text.contains("<img"))
    #expect(!run.text.contains("\u{202E}"))
    #expect(run.text.contains("&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;"))
    #expect(run.text.contains(#"\xff&lt;\x80"#))
  }

  @Test("of a store whose name is hostile")
  func hostileName() throws {
    try #require(try directory.kvmap("put", "<b>&\"'.kvmap", "k", "v").status == 0)
    let page = try report("<b>&\"'.kvmap")
    #expect(page.contains("<title>&lt;b&gt;&amp;&quot;&#39;.kvmap</title>"))
  }

  @Test("tells of expiry, of age and of prefixes")
  func contents() throws {
    var lines = ""
    for number in 0..<300 { lines += "{\"put\":\"user/\(number)\",\"value\":\"\(number)\"}\n" }
    for number in 0..<200 { lines += "{\"put\":\"order/\(number)\",\"value\":\"\(number)\"}\n" }
    try #require(try directory.kvmap("batch", "s.kvmap", text: lines).status == 0)
    for key in ["a", "b"] {
      try #require(try directory.kvmap("put", "s.kvmap", key, "v", "--ttl", "30m").status == 0)
    }
    let page = try report("s.kvmap")
    #expect(page.contains("<td>within an hour</td><td class=\"n\">2</td>"))
    #expect(page.contains("<td>never</td><td class=\"n\">500</td>"))
    #expect(page.contains("<bdi>user/…</bdi></td><td class=\"n\">300</td>"))
    #expect(page.contains("<bdi>order/…</bdi></td><td class=\"n\">200</td>"))
    // All of them were put in this minute, or in the one before if the machine was slow.
    #expect(page.contains("<td>over a year ago</td><td class=\"n\">0</td>"))
  }

  @Test("goes to a file, changes nothing in the store, and works beside a process that has it open")
  func file() throws {
    try #require(try directory.kvmap("put", "s.kvmap", "k", "v").status == 0)
    let before = try directory.read("s.kvmap")
    try directory.write("old", to: "page.html")
    let run = try directory.kvmap("report", "s.kvmap", "-o", "page.html")
    #expect(run.status == 0)
    #expect(run.output == [])
    #expect(try directory.read("s.kvmap") == before)
    expectWellFormed(try directory.read("page.html"))
    let watch = Tool.makeProcess(
      ["watch", "s.kvmap", "--since", "0", "--exec", "echo > begun; sleep 1000"], in: directory)
    try Tool.start(watch)
    while try !directory.names().contains("begun") { usleep(1_000) }
    #expect(try report("s.kvmap").contains("1 record with"))
    kill(watch.processIdentifier, SIGINT)
    watch.waitUntilExit()
  }

  @Test("leaves out what is damaged, and says so")
  func damaged() throws {
    for key in ["first-key", "second-key"] {
      try #require(try directory.kvmap("put", "s.kvmap", key, "v").status == 0)
    }
    var bytes = try directory.read("s.kvmap")
    let place = try #require(Data(bytes).firstRange(of: Data("first-key".utf8)))
    bytes[place.lowerBound] ^= 1
    try directory.write(bytes, to: "s.kvmap")
    let page = try report("s.kvmap")
    #expect(page.contains("missing here: 1."))
    #expect(page.contains("second-key"))
  }

  @Test("fails as the other verbs do")
  func failures() throws {
    #expect(try directory.kvmap("report", "none.kvmap").status == 2)
    try directory.write("no store", to: "text")
    #expect(try directory.kvmap("report", "text").status == 65)
    try #require(try directory.kvmap("put", "s.kvmap", "k", "v").status == 0)
    #expect(try directory.kvmap("report", "s.kvmap", "-o", "none/page.html").status == 73)
    #expect(try directory.kvmap("report", "s.kvmap", "-o", "s.kvmap").status == 64)
    #expect(try directory.kvmap("get", "s.kvmap", "k").text == "v")
    let terminal = try PseudoTerminal()
    let process = Tool.makeProcess(["report", "s.kvmap"], in: directory)
    process.standardOutput = terminal.tool
    try Tool.start(process)
    process.waitUntilExit()
    #expect(process.terminationStatus == 64)
    let closed = try Tool.script(#"{ "$0" report s.kvmap; echo $? >&2; } | exec true"#, in: directory)
    #expect(closed.errors == "\(128 + SIGPIPE)\n")
  }
}
