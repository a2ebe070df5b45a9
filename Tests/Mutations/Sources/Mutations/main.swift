import Foundation

// Takes out, one at a time, each sync, order, lock and check that durability rests on, and shows that a test
// fails without it. See `Mutation.all` for what, and `MutatedPackage` for how.

let usage = """
  usage: kvmap-mutations [--list] [--only N,M,…] [--keep] [--folder FOLDER]

  Copies the package, builds it once with all mutations in it and runs, for each, the tests that should see it.
  Prints a line for each and ends with status 1 if one survives without explanation.

    --list           prints what is taken out, and where; builds nothing
    --only N,M,…     only these
    --keep           leaves the copy where it is and says where that is
    --folder FOLDER  where the copy goes; one that was kept there is built anew only where it changed

  """

func fail(_ text: String) -> Never {
  FileHandle.standardError.write(Data("\(text)\n".utf8))
  exit(2)
}

var numbers = Array(1...Mutation.all.count)
var isList = false
var isKept = false
var folder = FileManager.default.temporaryDirectory.appending(path: "kvmap-mutations-\(UUID().uuidString)")
var words = CommandLine.arguments.dropFirst().makeIterator()
while let word = words.next() {
  switch word {
  case "--list": isList = true
  case "--keep": isKept = true
  case "--only":
    let given = (words.next() ?? "").split(separator: ",").map { Int($0) ?? 0 }
    guard !given.isEmpty, given.allSatisfy({ (1...Mutation.all.count).contains($0) }) else { fail(usage) }
    numbers = given
  case "--folder":
    guard let path = words.next() else { fail(usage) }
    folder = URL(filePath: path)
    isKept = true
  default: fail(usage)
  }
}

// …/Tests/Mutations/Sources/Mutations/main.swift
let root = (0..<5).reduce(URL(filePath: #filePath)) { url, _ in url.deletingLastPathComponent() }
let package = MutatedPackage(original: root, folder: folder)
do {
  let places = try package.places()
  if isList {
    for (index, mutation) in Mutation.all.enumerated() {
      print("\(index + 1). not: \(mutation.what) (\(places[index]))")
    }
    exit(0)
  }
  defer {
    if isKept { print("kept: \(folder.path)") } else { try? FileManager.default.removeItem(at: folder) }
  }
  try package.write()
  try package.build()
  var report = Report(package, places: places)
  try report.checkUnchanged(numbers)
  try report.run(numbers)
  if !report.conclude() { exit(1) }
} catch {
  fail("\(error)")
}
