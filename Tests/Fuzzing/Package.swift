// swift-tools-version: 6.2

import PackageDescription

// Fuzzing with libFuzzer, in a package of its own, so that users of the library do not build
// it. Needs Linux, and a toolchain with libFuzzer and lld.
//
//     cd Tests/Fuzzing
//     swift build -c release
//     export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0
//     mkdir -p .build/corpus-image
//     .build/release/Fuzz image -max_total_time=600 -len_control=0 -max_len=400 -timeout=10 -rss_limit_mb=1024 .build/corpus-image
//
// What can be fuzzed:
//
// - `image`: a store's file, read in all ways. The input says how to change a small store,
//   which the harness makes at the start. For some of the changes it corrects the checksums, so
//   that reading goes on past them;
// - `operations`: the same, and then the store is written to, closed and opened again;
// - `jsonl`, `gdbm`, `gdbm-binary`, `batch`: the readers of dumps and batches.
//
// To repeat an input that was found (`crash-…`), name it in place of the corpus.
//
// The folders under Sources with the library's names are links to it. The library is compiled
// here once more, since coverage and sanitizer need flags that a package may give only to its
// own targets.
let flags: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableExperimentalFeature("Lifetimes"),
  .unsafeFlags(["-sanitize=fuzzer,address", "-enable-testing"]),
]

let package = Package(
  name: "kvmap-fuzzing",
  dependencies: [.package(url: "https://github.com/apple/swift-system", from: "1.8.0")],
  targets: [
    .target(name: "CFuzzer"),
    .target(name: "CMappedMemory"),
    .target(
      name: "MappedMemory",
      dependencies: ["CMappedMemory", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: flags),
    .target(
      name: "KVMap",
      dependencies: [
        "CMappedMemory", "MappedMemory", .product(name: "SystemPackage", package: "swift-system"),
      ],
      exclude: ["KVMap.docc"],
      swiftSettings: flags),
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        "CFuzzer", "KVMap", "MappedMemory", .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: flags,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
  ]
)
