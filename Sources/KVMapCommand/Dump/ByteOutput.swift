/// Collects bytes and passes them to a sink in large pieces.
struct ByteOutput {
  private static let pieceSize = 65_536

  private let sink: ([UInt8]) throws -> Void
  private var pending: [UInt8] = []

  /// - Parameter sink: writes all bytes it gets, or throws.
  init(sink: @escaping ([UInt8]) throws -> Void) {
    self.sink = sink
    pending.reserveCapacity(Self.pieceSize)
  }

  mutating func append(_ byte: UInt8) throws {
    pending.append(byte)
    if pending.count >= Self.pieceSize { try flush() }
  }

  mutating func append(_ bytes: some Collection<UInt8>) throws {
    pending.append(contentsOf: bytes)
    if pending.count >= Self.pieceSize { try flush() }
  }

  mutating func append(_ text: String) throws {
    try append(text.utf8)
  }

  /// Passes the collected bytes to the sink.
  mutating func flush() throws {
    if pending.isEmpty { return }
    try sink(pending)
    pending.removeAll(keepingCapacity: pending.capacity <= 4 * Self.pieceSize)
  }
}
