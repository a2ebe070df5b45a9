/// Detects a walk along overflow pages that goes in a circle, which happens only in a damaged
/// file. It takes at most three times as many steps as there are pages in the walk.
///
/// It remembers one page, and replaces it by a later one after 1, 2, 4, 8 and so on steps (R. P.
/// Brent, "An improved Monte Carlo factorization algorithm", 1980).
struct ChainGuard {
  private var remembered = PageNumber(number: 0)
  private var steps = 0
  private var limit = 1

  /// To be called with each page of the walk before its content is used. Throws `damaged` in a
  /// circle.
  mutating func pass(_ page: PageNumber) throws(Store.Error) {
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
