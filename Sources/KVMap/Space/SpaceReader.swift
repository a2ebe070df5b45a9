/// Looks up entries of the space table, for readers and as the first step of every change to it.
struct SpaceReader {
  let memory: StoreMemory
  let root: PagePointer

  @inline(__always)
  init(memory: StoreMemory) {
    self.memory = memory
    root = memory.shared[.spaceRoot]
  }

  /// The entry of `unit`; nil if the unit was never used. Throws `damaged`.
  @inline(__always)
  func entry(_ unit: Unit) throws(Store.Error) -> SpaceEntry? {
    let leaf = SpaceTable.leaf(of: unit)
    var pointer = root
    let height = pointer.depth
    if height < 8, leaf >> UInt64(8 * height) != 0 { return nil }
    let tag = memory.shared[.epoch].tag
    for level in 0..<height {
      try memory.check(pointer, .spaceNode, workingTag: tag)
      let digit = Self.digit(of: leaf, level: level, height: height)
      pointer = memory.node(pointer.page)[digit]
      if pointer.bits == 0 { return nil }
    }
    try memory.check(pointer, .spaceLeaf, workingTag: tag)
    return SpaceEntry(bytes: memory.bytes, offset: SpaceTable.entryOffset(pointer.page, unit))
  }

  /// The index of the child on the path to a leaf, in a node at `level` (the root is at 0): that
  /// digit of the leaf's number in base 256, counted from the most significant one.
  @inline(__always)
  static func digit(of leaf: UInt64, level: Int, height: Int) -> Int {
    Int((leaf >> UInt64(8 * (height - 1 - level))) & 0xff)
  }
}
