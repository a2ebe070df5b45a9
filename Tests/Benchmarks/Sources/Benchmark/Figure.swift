/// What is measured, in the order of the table.
enum Figure: String, CaseIterable {
  case load
  case getHit = "get hit"
  case getInPlace = "get in place"
  case getMiss = "get miss"
  case overwrite
  case scan
  case delete
  case open
  case durablePut = "durable put, median"
  case durablePutSlow = "durable put, 99 %"
  case lengthLoaded = "file, length, loaded"
  case allocatedLoaded = "file, on disk, loaded"
  case lengthOverwritten = "file, length, overwritten"
  case allocatedOverwritten = "file, on disk, overwritten"
  case peakMemory = "memory at most"
  case anonymousMemory = "memory without the file"

  enum Unit: String {
    case nanoseconds = "ns"
    case microseconds = "µs"
    /// Bytes for each byte of keys and values.
    case perByte = "/byte"
    case mebibytes = "MiB"
  }

  var unit: Unit {
    switch self {
    case .load, .getHit, .getInPlace, .getMiss, .overwrite, .scan, .delete: .nanoseconds
    case .open, .durablePut, .durablePutSlow: .microseconds
    case .lengthLoaded, .allocatedLoaded, .lengthOverwritten, .allocatedOverwritten: .perByte
    case .peakMemory, .anonymousMemory: .mebibytes
    }
  }
}
