/// Where leaves of the space table lie that are known to be writable, so that most changes of an
/// entry need no walk from the root.
///
/// In one epoch a writable leaf stays where it is, unless its part of the table is dropped. What is
/// remembered is forgotten with the epoch, when leaves are dropped, and when another handle may
/// have changed the table.
struct WritableLeaves {
  /// How many leaves are remembered, each in the place that the low bits of its number choose:
  /// those of 500 MiB of the file.
  private static let count = 64

  private var leaves = [UInt64](repeating: .max, count: count)
  private var pages = [PageNumber](repeating: PageNumber(number: 0), count: count)
  private var epoch = Epoch(number: 0)

  /// The page of a leaf; nil if it is not known. `epoch` is the working epoch.
  @inline(__always)
  func page(of leaf: UInt64, in epoch: Epoch) -> PageNumber? {
    let place = Int(leaf % UInt64(Self.count))
    guard self.epoch == epoch, leaves[place] == leaf else { return nil }
    return pages[place]
  }

  mutating func remember(_ leaf: UInt64, at page: PageNumber, in epoch: Epoch) {
    if self.epoch != epoch { forget() }
    self.epoch = epoch
    let place = Int(leaf % UInt64(Self.count))
    leaves[place] = leaf
    pages[place] = page
  }

  mutating func forget() {
    guard epoch.number != 0 else { return }
    epoch = Epoch(number: 0)
    for place in leaves.indices { leaves[place] = .max }
  }
}
