// swift-tools-version: 6.2

import PackageDescription

/// What every Swift target of this package is compiled with.
let swiftSettings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatWarning("StrictMemorySafety", as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .define("CRASH_SIMULATION", .when(traits: ["CrashSimulation"])),
]

let package = Package(
  name: "kvmap",
  platforms: [.macOS(.v15), .iOS(.v18)],
  products: [
    .library(name: "KVMap", targets: ["KVMap"]),
    .library(name: "KVMapFoundation", targets: ["KVMapFoundation"]),
    .library(name: "MappedMemory", targets: ["MappedMemory"]),
    .executable(name: "kvmap", targets: ["KVMapCommand"]),
  ],
  traits: [
    .trait(
      name: "CrashSimulation",
      description: "Lets tests see every store into a mapped file; for tests alone, it costs speed.")
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
  ],
  targets: [
    .target(name: "CMappedMemory"),
    .target(
      name: "MappedMemory",
      dependencies: [
        "CMappedMemory",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "KVMap",
      dependencies: [
        "CMappedMemory",
        "MappedMemory",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "KVMapFoundation",
      dependencies: [
        "KVMap", "MappedMemory",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .target(name: "CKVMapCommand"),
    .executableTarget(
      name: "KVMapCommand",
      dependencies: [
        "CKVMapCommand",
        "KVMap",
        "MappedMemory",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .target(
      name: "TestSupport",
      dependencies: [.product(name: "SystemPackage", package: "swift-system")],
      path: "Tests/TestSupport",
      swiftSettings: swiftSettings),
    .executableTarget(
      name: "Speed",
      dependencies: ["KVMap", "MappedMemory"],
      path: "Tests/Speed",
      swiftSettings: swiftSettings),
    .testTarget(
      name: "MappedMemoryTests",
      dependencies: ["MappedMemory", "TestSupport"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "CrashTests",
      dependencies: [
        "KVMap", "MappedMemory", "TestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .systemLibrary(
      name: "CGDBM", path: "Tests/CGDBM", providers: [.apt(["libgdbm-dev"]), .brew(["gdbm"])]),
    .testTarget(
      name: "GDBMTests",
      dependencies: ["CGDBM", "KVMap", "KVMapCommand", "TestSupport"],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "HostileFileTests",
      dependencies: [
        "KVMap", "MappedMemory", "TestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "LinearizabilityTests",
      dependencies: [
        "KVMap", "TestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "KVMapCommandTests",
      dependencies: [
        "KVMapCommand", "KVMap", "TestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: swiftSettings),
    .testTarget(
      name: "KVMapTests",
      dependencies: ["KVMap", "KVMapFoundation", "MappedMemory", "TestSupport"],
      swiftSettings: swiftSettings),
  ]
)

// For those who build the documentation: others need not resolve it.
if Context.environment["KVMAP_DOCUMENTATION"] != nil {
  package.dependencies.append(.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"))
}
