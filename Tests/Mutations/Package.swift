// swift-tools-version: 6.2

import PackageDescription

// A package of its own: it builds the one above it, changed, instead of depending on it.
let package = Package(
  name: "kvmap-mutations",
  platforms: [.macOS(.v26)],
  products: [.executable(name: "kvmap-mutations", targets: ["Mutations"])],
  targets: [
    .executableTarget(
      name: "Mutations",
      swiftSettings: [
        .strictMemorySafety(),
        .treatWarning("StrictMemorySafety", as: .error),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
      ])
  ]
)
