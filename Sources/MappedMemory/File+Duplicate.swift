import SystemPackage

extension File {
  /// A second descriptor of the same open file (`fcntl` with `F_DUPFD_CLOEXEC`).
  /// It shares locks and position with the first.
  public borrowing func duplicate() throws(MappingError) -> File {
    let copy = try describing(.duplicate, path) { () throws(Errno) in
      try SystemCalls.duplicate(descriptor)
    }
    return File(owning: Descriptor(owning: copy), path: path)
  }
}
