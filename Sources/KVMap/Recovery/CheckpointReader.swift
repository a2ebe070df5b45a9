/// Checks pages of a checkpoint before there is a shared state that points to them.
struct CheckpointReader {
  let memory: StoreMemory
  let block: Superblock

  private var bytes: MappedBytes { memory.bytes }

  /// Throws unless the pages from the root to the bucket of `hash` are intact.
  func checkBucket(_ hash: KeyHash) throws(Store.Error) {
    var pointer = block.root
    var depth = 0
    for _ in 0..<block.root.depth {
      try check(pointer, .directory)
      pointer = memory.node(pointer.page)[hash.entry(depth: depth)]
      depth = pointer.depth
    }
    try check(pointer, .bucket)
  }

  /// Throws unless the pages from the root of the space table to the entry of
  /// `unit` are intact.
  func checkSpace(_ unit: Unit) throws(Store.Error) {
    let leaf = SpaceTable.leaf(of: unit)
    var pointer = block.spaceRoot
    let height = pointer.depth
    for level in 0..<height {
      try check(pointer, .spaceNode)
      let digit = SpaceReader.digit(of: leaf, level: level, height: height)
      pointer = memory.node(pointer.page)[digit]
      if pointer.bits == 0 { return }
    }
    try check(pointer, .spaceLeaf)
  }

  /// Every page that a checkpoint points to is sealed.
  private func check(_ pointer: PagePointer, _ kind: PageKind) throws(Store.Error) {
    try memory.checkSealed(pointer, kind)
    guard memory.header(pointer.page).epoch <= block.epoch else {
      throw .damaged("index page", at: pointer.page.offset, "it is from a later epoch than the checkpoint")
    }
  }
}
