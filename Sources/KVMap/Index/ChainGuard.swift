/// Notices when a walk along overflow pages goes in a circle, which only a damaged
/// file has: after at most three times as many steps as there are pages in it.
///
/// Remembers one page, a later one after each power of two of steps (R. P. Brent,
/// "An improved Monte Carlo factorization algorithm", 1980).
struct ChainGuard {
  private var remembered = PageNumber(number: 0)
  private var steps = 0
  private var limit = 1

  /// To be called with each page of the walk, before its content is used.
  mutating func pass(_ page: PageNumber) throws(StoreError) {
    if page == remembered {
      throw .damaged("index page", at: page.offset, "its chain of overflow pages has no end")
    }
    steps += 1
    if steps == limit {
      remembered = page
      steps = 0
      limit *= 2
    }
  }
}
