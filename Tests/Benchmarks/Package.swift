// swift-tools-version: 6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatWarning("StrictMemorySafety", as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A library that `kvmap-benchmark` compares with if the trait of this name is enabled.
struct Peer {
  let trait: String
  let module: String
  let package: String

  var target: Target { .systemLibrary(name: module, providers: [.apt([package])]) }
  var dependency: Target.Dependency { .target(name: module, condition: .when(traits: [trait])) }
}

let peers = [
  Peer(trait: "Tkrzw", module: "CTkrzw", package: "libtkrzw-dev"),
  Peer(trait: "Kyoto", module: "CKyotoCabinet", package: "libkyotocabinet-dev"),
  Peer(trait: "TDB", module: "CTDB", package: "libtdb-dev"),
  Peer(trait: "LMDB", module: "CLMDB", package: "liblmdb-dev"),
  Peer(trait: "SQLite", module: "CSQLite", package: "libsqlite3-dev"),
]

// A package of its own, so that users of the library resolve and build none of it.
let package = Package(
  name: "kvmap-benchmarks",
  platforms: [.macOS(.v26)],
  products: [
    .executable(name: "kvmap-benchmark", targets: ["Benchmark"]),
    .executable(name: "kvmap-steady-state", targets: ["SteadyState"]),
    .executable(name: "kvmap-threads", targets: ["Threads"]),
  ],
  traits: Set(peers.map { .trait(name: $0.trait, description: "Compares with \($0.package).") })
    .union([
      .trait(name: "Peers", description: "All of them.", enabledTraits: Set(peers.map(\.trait)))
    ]),
  dependencies: [.package(name: "kvmap", path: "../..")],
  targets: [
    .systemLibrary(name: "CGDBM", providers: [.apt(["libgdbm-dev"])]),
    .executableTarget(
      name: "Benchmark",
      dependencies: ["CGDBM", .product(name: "KVMap", package: "kvmap")] + peers.map(\.dependency),
      swiftSettings: settings),
    .executableTarget(
      name: "SteadyState",
      dependencies: ["CGDBM", .product(name: "KVMap", package: "kvmap")],
      swiftSettings: settings),
    .executableTarget(
      name: "Threads",
      dependencies: [.product(name: "KVMap", package: "kvmap")],
      swiftSettings: settings),
  ] + peers.map(\.target)
)
