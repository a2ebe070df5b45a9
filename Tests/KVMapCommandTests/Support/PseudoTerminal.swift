import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A terminal for the tool to write to.
final class PseudoTerminal {
  /// The side that the tool gets.
  let tool: FileHandle
  private let master: Int32

  init() throws {
    var (master, descriptor): (Int32, Int32) = (-1, -1)
    guard unsafe openpty(&master, &descriptor, nil, nil, nil) == 0 else { throw POSIXError(.ENOTTY) }
    self.master = master
    // Without this, newlines would become CR LF.
    var settings = termios()
    guard unsafe tcgetattr(descriptor, &settings) == 0 else { throw POSIXError(.ENOTTY) }
    settings.c_oflag &= ~tcflag_t(OPOST)
    // What is typed is not shown.
    settings.c_lflag &= ~tcflag_t(ECHO)
    guard unsafe tcsetattr(descriptor, TCSANOW, &settings) == 0 else { throw POSIXError(.ENOTTY) }
    tool = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  deinit { close(master) }

  /// Lets the tool read a line.
  func type(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    _ = unsafe write(master, bytes, bytes.count)
  }

  /// Everything that was written, once the tool has ended. It must fit into the terminal's
  /// buffer, or the tool would block.
  func contents() throws -> String {
    try tool.close()
    var all: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe read(master, &piece, piece.count)
      // The system reports the end as an error.
      if count <= 0 { return String(decoding: all, as: UTF8.self) }
      all += piece[..<count]
    }
  }
}
