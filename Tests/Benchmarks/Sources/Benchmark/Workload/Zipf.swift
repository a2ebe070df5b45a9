import Foundation

/// Ranks with a Zipfian distribution of exponent 0.99, as YCSB draws them (Gray et al., "Quickly generating
/// billion-record synthetic databases", 1994).
struct Zipf {
  private static let theta = 0.99

  private let count: Double
  private let alpha: Double
  private let zeta: Double
  private let eta: Double

  init(count: Int) {
    self.count = Double(count)
    alpha = 1 / (1 - Self.theta)
    zeta = (1...count).reduce(0) { $0 + 1 / pow(Double($1), Self.theta) }
    let zetaOfTwo = 1 + pow(0.5, Self.theta)
    eta = (1 - pow(2 / self.count, 1 - Self.theta)) / (1 - zetaOfTwo / zeta)
  }

  /// From 0, the most frequent, to the one before `count`.
  func next(_ generator: inout SeededGenerator) -> Int {
    let share = Double.random(in: 0..<1, using: &generator)
    if share * zeta < 1 { return 0 }
    if share * zeta < 1 + pow(0.5, Self.theta) { return 1 }
    return min(Int(count * pow(eta * share - eta + 1, alpha)), Int(count) - 1)
  }
}
