import MappedMemory
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

extension InputFile {
  /// Reads the rest to its end, into a temporary file without a name.
  func spooled() throws -> InputFile {
    let spool = try temporaryFile()
    do {
      while case let piece = try read(), !piece.isEmpty {
        try write(piece, to: spool, name: "the temporary file that keeps \(name)")
      }
      try spool.seek(offset: 0, from: .start)
    } catch {
      try? spool.close()
      throw error
    }
    return InputFile(name: name, descriptor: spool)
  }

  /// A name for a temporary file, which nothing has.
  static func temporaryPath() -> String {
    let random = String(UInt64.random(in: .min ... .max), radix: 16)
    return "\(File.temporaryDirectory)/kvmap-\(random)"
  }

  /// Opens a temporary file and takes its name away.
  convenience init(temporary path: String) throws(Failure) {
    try self.init(path)
    _ = unsafe unlink(path)
  }

  private func temporaryFile() throws(Failure) -> FileDescriptor {
    let directory = File.temporaryDirectory
    var path = Array("\(directory)/kvmap-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&path)
    guard descriptor >= 0 else {
      throw Failure(
        .inputOutput,
        "cannot keep \(name) in a temporary file: \(directory): \(Errno(rawValue: errno)); set TMPDIR to a "
          + "directory that can be written")
    }
    _ = unsafe unlink(path)
    return FileDescriptor(rawValue: descriptor)
  }
}
