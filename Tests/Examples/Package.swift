// swift-tools-version: 6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatWarning("StrictMemorySafety", as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let store: [Target.Dependency] = [
  .product(name: "KVMap", package: "kvmap"),
  .product(name: "KVMapFoundation", package: "kvmap"),
]

// A package of its own, so that users of the library resolve and build none of it.
let package = Package(
  name: "kvmap-examples",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "kvmap", path: "../.."),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
  ],
  targets: [
    .executableTarget(name: "JobQueue", dependencies: store, swiftSettings: settings),
    .executableTarget(
      name: "SessionServer",
      dependencies: store + [.product(name: "FlyingFox", package: "FlyingFox")],
      swiftSettings: settings),
    .testTarget(
      name: "ExampleTests",
      dependencies: store + [
        "JobQueue", "SessionServer",
        .product(name: "FlyingFox", package: "FlyingFox"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: settings),
  ]
)
