extension Mutation {
  private static let backing = "KVMap/Backing/FileBacking.swift"
  private static let new = "KVMap/Engine/NewStoreFile.swift"
  private static let region = "MappedMemory/MappedRegion.swift"
  private static let handler = "CMappedMemory/lost_mappings.c"
  private static let lostMark = "atomic_store_explicit((_Atomic uint32_t *)lost, 1, memory_order_seq_cst);"
  private static let directorySync = "try File.syncDirectory(target.directory)"

  static let creating: [Mutation] = [
    Mutation(
      "a new file is synced before it gets its name", in: new, .leaveOut("try file.sync()"),
      seenBy: .store("SyncOrderTests")),
    Mutation(
      "the directory of a new file is synced", in: new,
      .leaveOut(directorySync, after: "if !isLinked"), seenBy: .store("SyncOrderTests")),
    Mutation(
      "nobody opens a new store before its name is durable", in: new,
      .takeForTrue("try backing.locks.tryLock(.valid, .exclusive)", after: "mutating func publish"),
      seenBy: .store("FaultTests"), .store("StoppedProcessTests"),
      survives: "needs an opening between two system calls of a creation whose directory cannot be synced"),
    Mutation(
      "an empty file that another process has made a store is not written to", in: new,
      .replace("try FileKind(empty)", by: "try (MUTATED ? .empty : FileKind(empty))"),
      seenBy: .store("EmptyFileTests"), .store("UserFileSystemTests/twoCreateAtOnce")),
    Mutation(
      "no call waits for an empty file that another process has made a store", in: new,
      .leaveOut("guard case .empty? = try? FileKind(empty) else { return nil }"),
      seenBy: .store("EmptyFileTests/nobodyWaitsForAnEmptyFileThatBecameAStore")),
    Mutation(
      "a store that is made in place is marked as incomplete until it is complete", in: new,
      .leaveOut("try unsafe empty.write(marker.span.bytes, at: 0)"), seenBy: .store("UserFileSystemTests")),
    Mutation(
      "the first superblock is written last", in: new,
      .replace("for superblock in [b, a] {", by: "for superblock in MUTATED ? [a, b] : [b, a] {"),
      seenBy: .store("CreationInPlaceTests"),
      survives:
        "needs a power failure that tears a page between the two; the images of these tests assume the order"),
    Mutation(
      "a sync is an msync", in: backing,
      .leaveOut("try reservation.sync(at: offset, length: count)"),
      seenBy: .store("FailedSyncTests")),
    Mutation(
      "a sync of a lost mapping fails", in: backing,
      .takeForFalse("isLost", after: "func sync(offset: Int, count: Int)"), seenBy: .store("LostFileTests")),
    Mutation(
      "a file that was cut short is noticed by its length", in: backing,
      .takeForTrue("size >= least"), seenBy: .store("LostFileTests"), .store("CutFileTests")),
  ]

  static let mapping: [Mutation] = [
    Mutation(
      "msync is called", in: "MappedMemory/SystemCalls+Memory.swift",
      .replace(
        "{ unsafe msync(base, length, flags) }", by: "{ unsafe MUTATED ? 0 : msync(base, length, flags) }"),
      seenBy: .mapping("MemoryCallTests")),
    Mutation(
      "fsync is called", in: "CMappedMemory/system_calls.c",
      .replace("return fsync(descriptor);", by: "if (MUTATED) return 0;\n TEXT"),
      seenBy: .mapping("FileTests"),
      survives:
        "only a power failure shows whether it was called; that the store asks for it, and when, is tested"),
    Mutation(
      "children do not get the mapping", in: region,
      .leaveOut("try unsafe SystemCalls.advise(base, length: length, advice)"), seenBy: .mapping("ForkTests")),
    Mutation(
      "a SIGBUS marks the mapping as lost", in: handler,
      .replace(lostMark, by: "if (!MUTATED) { TEXT }"), seenBy: .mapping("LostMappingTests")),
    Mutation(
      "the loss mark comes before the zeros", in: handler,
      .replace(lostMark, by: "if (!MUTATED) { TEXT }"),
      .replace(
        "to[attempt], protection)) return true;",
        by: "to[attempt], protection)) { if (MUTATED) \(lostMark) return true; }"),
      seenBy: .mapping("LostMappingTests"),
      survives: "needs a second thread that reads the page between two instructions of the handler"),
    Mutation(
      "a lost mapping is reported", in: region,
      .takeForFalse("loss.flag.word.pointee.load(ordering: .relaxed) != 0"),
      seenBy: .mapping("LostMappingTests")),
    Mutation(
      "a fence stands between a load and the loss mark", in: region,
      .leaveOut("atomicMemoryFence(ordering: .acquiring)"), seenBy: .mapping("LostMappingTests"),
      survives: "x86 does no load before an earlier one"),
    Mutation(
      "a full fence stands between a store and the loss mark", in: region,
      .leaveOut("atomicMemoryFence(ordering: .sequentiallyConsistent)"), seenBy: .mapping("LostMappingTests"),
      survives: "a store that faults on x86 does so before any later load of its thread is done"),
    Mutation(
      "a forked child releases no lock of its parent", in: "MappedMemory/File.swift",
      .takeForTrue("generation == kvmap_process_generation()"), seenBy: .mapping("ForkTests")),
    Mutation(
      "a forked child unmaps nothing of its parent's", in: "MappedMemory/LostMappings.swift",
      .takeForTrue("generation == kvmap_process_generation()", after: "var isOwn: Bool {"),
      seenBy: .mapping("ForkTests")),
    Mutation(
      "descriptors are closed when the process runs another program", in: "MappedMemory/SystemCalls.swift",
      .replace("flags | O_CLOEXEC | O_NOCTTY", by: "flags | (MUTATED ? 0 : O_CLOEXEC) | O_NOCTTY"),
      seenBy: .mapping("FileTests")),
  ]
}
