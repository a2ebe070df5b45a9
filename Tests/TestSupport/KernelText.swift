package import SystemPackage

/// The text of a file of /proc, whose size is given as 0.
package func kernelText(_ path: FilePath) throws -> String {
  let descriptor = try FileDescriptor.open(path, .readOnly)
  return try descriptor.closeAfter {
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = try unsafe buffer.withUnsafeMutableBytes { try unsafe descriptor.read(into: $0) }
      if count == 0 { return String(decoding: text, as: UTF8.self) }
      text += buffer[..<count]
    }
  }
}
