import Foundation

/// What the kernel says about this process's memory, in bytes (proc(5)).
enum ProcessMemory {
  /// The most that was resident since `resetPeak`, mapped files included.
  static var peak: Int { field("VmHWM") }
  static var resident: Int { field("VmRSS") }
  /// Without mapped files: what has to be swapped if memory is short.
  static var anonymous: Int { field("RssAnon") }

  static func resetPeak() {
    guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return }
    try? file.write(contentsOf: Data("5".utf8))
    try? file.close()
  }

  private static func field(_ name: String) -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") }
    return (line?.split(separator: " ").dropLast().last.flatMap { Int($0) } ?? 0) * 1_024
  }
}

/// The disk space that the files in a directory take; holes take none.
func allocatedBytes(in directory: String) throws -> Int {
  try FileManager.default.contentsOfDirectory(atPath: directory).reduce(0) { sum, name in
    var status = stat()
    guard unsafe stat("\(directory)/\(name)", &status) == 0 else { throw Wrong("no status of \(name)") }
    return sum + Int(status.st_blocks) * 512
  }
}
