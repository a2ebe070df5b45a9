import KVMap

/// KVMap; other processes may write between any two calls.
struct SharedStore: StoreContender {
  static let name = "KVMap shared"
  static let isExclusive = false
  let store: Store
}

/// KVMap with the write lock for the handle's life.
struct ExclusiveStore: StoreContender {
  static let name = "KVMap alone"
  static let isExclusive = true
  let store: Store
}

protocol StoreContender: Contender {
  static var isExclusive: Bool { get }
  var store: Store { get }
  init(store: Store)
}

extension StoreContender {
  static var hasGetInPlace: Bool { true }

  init(_ path: String) throws {
    var options = StoreOptions()
    options.exclusive = Self.isExclusive
    self.init(store: try Store(path: path, options: options))
  }

  func close() throws { try store.close() }

  @inline(__always)
  func put(_ key: [UInt8], _ value: [UInt8]) throws { try store.put(value, forKey: key) }

  @inline(__always)
  func get(_ key: [UInt8]) throws -> UInt64? {
    guard let value = try store.get(key) else { return nil }
    return unsafe value.withUnsafeBytes { unsafe Bytes.checksum($0) }
  }

  @inline(__always)
  func getInPlace(_ key: [UInt8]) throws -> UInt64? {
    try store.withValue(forKey: key) { value in unsafe value.withUnsafeBytes { unsafe Bytes.checksum($0) } }
  }

  @inline(__always)
  func delete(_ key: [UInt8]) throws -> Bool { try store.remove(key) }

  func scan() throws -> (count: Int, sum: UInt64) {
    var (count, sum) = (0, UInt64(0))
    try store.forEach { _, value in
      count += 1
      sum &+= unsafe value.withUnsafeBytes { unsafe Bytes.checksum($0) }
    }
    return (count, sum)
  }

  func putDurably(_ key: [UInt8], _ value: [UInt8]) throws {
    try store.put(value, forKey: key, durability: .onCommit)
  }
}
