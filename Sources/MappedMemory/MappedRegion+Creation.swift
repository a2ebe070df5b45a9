import SystemPackage

extension MappedRegion {
  /// Maps a range of a file at an address that the kernel chooses.
  init(
    _ file: borrowing File, offset: Int64, length: Int, protection: Protection, sharing: Sharing,
    options: MappingOptions
  ) throws(MappingError) {
    let path = file.path
    guard offset >= 0, offset % Int64(PageSize.bytes) == 0 else {
      throw MappingError(.misaligned(value: offset), SystemCall.mmap.rawValue, path)
    }
    let flags = try sharing.flag | options.flags(operation: SystemCall.mmap.rawValue)
    let descriptor = file.descriptor
    let base = try unsafe describing(.mmap, path) { () throws(Errno) in
      try unsafe SystemCalls.map(
        length: length, protection: protection.rawValue, flags: flags, descriptor: descriptor, offset: offset)
    }
    try unsafe self.init(
      owning: base, length: length, path: path, protection: protection,
      inherited: options.contains(.inheritedByChildren))
  }

  /// Maps zeroed memory at an address that the kernel chooses.
  init(
    anonymous length: Int, protection: Protection, sharing: Sharing, options: MappingOptions
  ) throws(MappingError) {
    let flags =
      try sharing.flag | SystemCalls.anonymousFlag | options.flags(operation: SystemCall.mmap.rawValue)
    let base = try unsafe describing(.mmap, nil) { () throws(Errno) in
      try unsafe SystemCalls.map(length: length, protection: protection.rawValue, flags: flags)
    }
    try unsafe self.init(
      owning: base, length: length, path: nil, protection: protection,
      inherited: options.contains(.inheritedByChildren))
  }

  /// Changes the protection of the whole region.
  func protectAll(_ protection: Protection) throws(MappingError) {
    try protect(at: 0, length: length, protection)
    loss.set(protection)
  }

  /// The result of an access; throws if storage was lost by its end.
  borrowing func checked<Result: ~Copyable>(_ access: () throws -> Result) throws -> Result {
    let result: Result
    do {
      result = try access()
    } catch {
      // The zeros that replace lost bytes may have caused the error.
      try checkNotLost()
      throw error
    }
    try checkNotLost()
    return result
  }
}
