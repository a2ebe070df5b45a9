/// The overflow pages of a bucket in their order, each checked before it is followed.
struct OverflowChain {
  private let memory: StoreMemory
  private let tag: UInt16
  private var page: PageNumber
  private var chain = ChainGuard()

  /// - Parameter first: the first overflow page as the bucket's header names it, number 0 for
  ///   none.
  init(_ memory: StoreMemory, from first: PageNumber) {
    self.memory = memory
    tag = memory.shared[.epoch].tag
    page = first
  }

  /// The next page; nil at the end.
  ///
  /// - Throws: `damaged` if the chain has no end, or a page in it is not an overflow page.
  mutating func next() throws(Store.Error) -> PageNumber? {
    if page.number == 0 { return nil }
    try chain.pass(page)
    try IndexReader(memory: memory).checkOverflow(page, workingTag: tag)
    defer { page = memory.header(page).overflow }
    return page
  }
}
