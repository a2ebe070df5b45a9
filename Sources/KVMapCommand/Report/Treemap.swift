/// Rectangles whose areas are in proportion to numbers, and as near to squares as they can be.
///
/// Bruls, Huizing, van Wijk: Squarified Treemaps (2000).
struct Treemap {
  struct Area {
    var x = 0.0
    var y = 0.0
    var width = 0.0
    var height = 0.0

    func inset(top: Double, other: Double) -> Area {
      Area(
        x: x + other, y: y + top, width: max(0, width - 2 * other), height: max(0, height - top - other))
    }
  }

  /// One for each number, in the order of the numbers.
  private(set) var areas: [Area]

  init(_ numbers: [Int], in whole: Area) {
    areas = [Area](repeating: Area(), count: numbers.count)
    let order = numbers.indices.sorted { numbers[$0] > numbers[$1] }.filter { numbers[$0] > 0 }
    let sum = numbers.reduce(0.0) { $0 + Double(max(0, $1)) }
    guard sum > 0, whole.width > 0, whole.height > 0 else { return }
    let scale = whole.width * whole.height / sum
    var free = whole
    var row: [Int] = []
    var rowSum = 0.0
    for index in order {
      let size = Double(numbers[index]) * scale
      let side = min(free.width, free.height)
      let sizes = row.map { Double(numbers[$0]) * scale }
      if !row.isEmpty, Self.worst(sizes + [size], rowSum + size, side) > Self.worst(sizes, rowSum, side) {
        place(row, sizes, rowSum, in: &free)
        (row, rowSum) = ([], 0)
      }
      row.append(index)
      rowSum += size
    }
    place(row, row.map { Double(numbers[$0]) * scale }, rowSum, in: &free)
  }

  /// The worst ratio of the sides of the rectangles in a row along a side.
  private static func worst(_ sizes: [Double], _ sum: Double, _ side: Double) -> Double {
    guard let largest = sizes.max(), let smallest = sizes.min(), smallest > 0 else { return .infinity }
    let (sideSquare, sumSquare) = (side * side, sum * sum)
    return max(sideSquare * largest / sumSquare, sumSquare / (sideSquare * smallest))
  }

  /// Places a row along the shorter side of what is free.
  private mutating func place(_ row: [Int], _ sizes: [Double], _ sum: Double, in free: inout Area) {
    let isColumn = free.width >= free.height
    let side = isColumn ? free.height : free.width
    guard side > 0, sum > 0 else { return }
    let thickness = sum / side
    var position = 0.0
    for (index, size) in zip(row, sizes) {
      let length = size / thickness
      areas[index] =
        isColumn
        ? Area(x: free.x, y: free.y + position, width: thickness, height: length)
        : Area(x: free.x + position, y: free.y, width: length, height: thickness)
      position += length
    }
    if isColumn {
      free.x += thickness
      free.width = max(0, free.width - thickness)
    } else {
      free.y += thickness
      free.height = max(0, free.height - thickness)
    }
  }
}
