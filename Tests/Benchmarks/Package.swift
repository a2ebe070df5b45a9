// swift-tools-version: 6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatWarning("StrictMemorySafety", as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

// A package of its own, so that who uses the library resolves and builds none of it.
let package = Package(
  name: "kvmap-benchmarks",
  platforms: [.macOS(.v26)],
  products: [
    .executable(name: "kvmap-benchmark", targets: ["Benchmark"]),
    .executable(name: "kvmap-steady-state", targets: ["SteadyState"]),
    .executable(name: "kvmap-threads", targets: ["Threads"]),
  ],
  dependencies: [.package(name: "kvmap", path: "../..")],
  targets: [
    .systemLibrary(name: "CGDBM", providers: [.apt(["libgdbm-dev"])]),
    .executableTarget(
      name: "Benchmark",
      dependencies: ["CGDBM", .product(name: "KVMap", package: "kvmap")],
      swiftSettings: settings),
    .executableTarget(
      name: "SteadyState",
      dependencies: ["CGDBM", .product(name: "KVMap", package: "kvmap")],
      swiftSettings: settings),
    .executableTarget(
      name: "Threads",
      dependencies: [.product(name: "KVMap", package: "kvmap")],
      swiftSettings: settings),
  ]
)
