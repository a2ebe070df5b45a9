/// The limits of gdbm.
enum GDBMLimits {
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
