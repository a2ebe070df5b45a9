/// The limits of gdbm, and how its files begin.
enum GDBMLimits {
  /// Whether a file that begins with these four bytes is a database of gdbm.
  ///
  /// They are a number in the byte order of the machine: one for 32 and one for 64 bits, an old one, and two for
  /// files of gdbm 1.21 and later that count syncs.
  static func isDatabase(_ start: ArraySlice<UInt8>) -> Bool {
    let magic: [UInt32] = [0x1357_9acd, 0x1357_9ace, 0x1357_9acf, 0x1357_9ad0, 0x1357_9ad1]
    let number = start.reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
    return start.count == 4 && (magic.contains(number) || magic.contains(number.byteSwapped))
  }

  /// - Throws: `UnfitRecord` if `gdbm_load` would refuse the record or stop at it.
  static func check(_ record: DumpRecord) throws(UnfitRecord) {
    if record.key.isEmpty { throw UnfitRecord(key: record.key, reason: "gdbm_load cannot read an empty key") }
    if record.value.isEmpty {
      throw UnfitRecord(key: record.key, reason: "gdbm_load cannot read an empty value")
    }
    if record.value.count > Int(Int32.max) {
      throw UnfitRecord(key: record.key, reason: "gdbm holds values of less than 2 GiB")
    }
  }
}
