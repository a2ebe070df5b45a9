/// Bytes from a source that provides them in pieces.
///
/// The source's pieces bound the memory: what a caller collects grows only as bytes arrive, whatever length
/// the input announces.
struct ByteInput {
  private let source: () throws -> [UInt8]
  private var piece: [UInt8] = []
  private var position = 0
  private var ended = false
  private var pieceStart: UInt64 = 0

  /// - Parameter source: returns the next bytes, at least one, or none at the end of the input.
  init(source: @escaping () throws -> [UInt8]) {
    self.source = source
  }

  /// How many bytes have been taken.
  var offset: UInt64 { pieceStart + UInt64(position) }

  /// The next byte without taking it; nil at the end.
  @inline(__always)
  mutating func peek() throws -> UInt8? {
    if position < piece.count { return piece[position] }
    return try fill() ? piece[position] : nil
  }

  /// The next bytes without taking them; fewer than `count` only at the end.
  mutating func peek(_ count: Int) throws -> ArraySlice<UInt8> {
    while piece.count - position < count, !ended {
      let next = try source()
      ended = next.isEmpty
      piece += next
    }
    return piece[position...].prefix(count)
  }

  @inline(__always)
  mutating func take() throws -> UInt8? {
    guard let byte = try peek() else { return nil }
    position += 1
    return byte
  }

  /// Appends at most `count` bytes to `output`.
  ///
  /// - Returns: how many it appended; fewer than `count` only at the end of the input.
  mutating func take(_ count: Int, into output: inout [UInt8]) throws -> Int {
    var missing = count
    while missing > 0, try peek() != nil {
      let end = position + min(missing, piece.count - position)
      output.append(contentsOf: piece[position..<end])
      missing -= end - position
      position = end
    }
    return count - missing
  }

  /// Takes bytes for which `isWanted` holds, up to the end of the current piece; nil if the next byte is not
  /// wanted or the input ends. Callers repeat it until it returns nil.
  @inline(__always)
  mutating func takeRun(_ isWanted: (UInt8) -> Bool) throws -> ArraySlice<UInt8>? {
    guard try peek() != nil else { return nil }
    let start = position
    var end = start
    while end < piece.count, isWanted(piece[end]) { end += 1 }
    position = end
    return end > start ? piece[start..<end] : nil
  }

  private mutating func fill() throws -> Bool {
    if ended { return false }
    let next = try source()
    pieceStart += UInt64(piece.count)
    piece = next
    position = 0
    ended = next.isEmpty
    return !ended
  }
}
