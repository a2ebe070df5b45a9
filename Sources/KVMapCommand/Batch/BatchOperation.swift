import KVMap

/// One line of a batch.
struct BatchOperation: Equatable {
  enum Kind: Equatable {
    case put(value: [UInt8], timeToLive: Duration?)
    case delete
  }

  var kind: Kind
  var key: [UInt8]
  var condition: Store.PutCondition
  /// Its line in the input.
  var line: UInt64
}
