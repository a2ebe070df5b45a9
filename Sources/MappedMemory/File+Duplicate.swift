#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif
import SystemPackage

extension File {
  /// A second descriptor of the same open file (`fcntl` with `F_DUPFD_CLOEXEC`);
  /// locks and position are shared with the first.
  public borrowing func duplicate() throws(MappingError) -> File {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw MappingError(.open, Errno(rawValue: errno), path) }
    return File(owning: Descriptor(owning: copy), path: path)
  }
}
