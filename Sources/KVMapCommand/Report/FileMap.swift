import KVMap

/// What the bytes of the file are used for, from its beginning to its end, in cells of one or more units.
struct FileMap {
  /// In the order in which they lie in a cell of the picture, from below.
  enum Use: Int, CaseIterable {
    case live
    case large
    case index
    case fixed
    case room
    case garbage
    case free
    case hole

    var label: String {
      switch self {
      case .live: "live records"
      case .large: "large values"
      case .index: "index and table of space"
      case .fixed: "superblocks and shared state"
      case .room: "room: reserved, still empty"
      case .garbage: "garbage"
      case .free: "free, takes disk"
      case .hole: "free, takes no disk"
      }
    }
  }

  /// Bytes of each use.
  typealias Amounts = [Int]

  private(set) var cells: [Amounts] = []
  private(set) var total = Amounts(repeating: 0, count: Use.allCases.count)
  /// Units of a cell.
  let unitsPerCell: Int

  /// Live bytes of records that begin before the unit that is next.
  private var carried = 0

  private static let mostCells = 2_048
  private static let pageBytes = 4_096

  /// - Parameter expectedBytes: about how long the file is; what is beyond falls into the last cell.
  init(of store: Store, expectedBytes: Int) throws {
    let units = max(1, expectedBytes / Store.UnitUse.unitBytes)
    unitsPerCell = (units + Self.mostCells - 1) / Self.mostCells
    for unit in 0..<Store.UnitUse.fixedUnits { add(Store.UnitUse.unitBytes, .fixed, unit) }
    try store.forEachUnit { add($0) }
  }

  private mutating func add(_ unit: Store.UnitUse) {
    let whole = Store.UnitUse.unitBytes
    switch unit.kind {
    case .log:
      // A record counts where it begins, also if it ends in the next unit of the segment.
      if unit.beginsSegment { carried = 0 }
      carried += unit.liveBytes
      let live = min(carried, whole)
      carried -= live
      let room = min(unit.roomBytes, whole - live)
      add(live, .live, unit.first)
      add(room, .room, unit.first)
      add(whole - live - room, .garbage, unit.first)
    case .index:
      let room = min(unit.roomBytes, whole)
      add(whole - room, .index, unit.first)
      add(room, .room, unit.first)
    case .largeValue:
      for number in unit.first..<unit.first + unit.count { add(whole, .large, number) }
    case .free: add(whole, unit.isStored ? .free : .hole, unit.first)
    }
  }

  private mutating func add(_ bytes: Int, _ use: Use, _ unit: Int) {
    let cell = min(unit / unitsPerCell, Self.mostCells - 1)
    while cells.count <= cell { cells.append(Amounts(repeating: 0, count: Use.allCases.count)) }
    cells[cell][use.rawValue] += bytes
    total[use.rawValue] += bytes
  }
}
