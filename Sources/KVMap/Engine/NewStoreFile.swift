import MappedMemory
import SystemPackage

/// A store that is being created: it appears at its path complete and durable, or not at all.
///
/// The store is built in a file without a name, which gets its name in one step. Where there are no
/// such files, it has a hidden name until then; that name is left only if the process is
/// killed. Two cases are built in place: the file system can neither link nor rename without
/// replacing, or an empty file already has the name. Then the finished store is copied into that
/// file. The file counts as a store from the moment its superblock B is durable.
struct NewStoreFile: ~Copyable {
  private(set) var file: File
  /// The path of the store, with symbolic links followed.
  private let target: FilePath
  /// The permissions that the file gets in the end, if they differ from those it has now.
  private let permissions: UInt16?
  private let timeout: Duration
  /// Whether nobody else can ever open the file: then it needs no locks of its own.
  private let isInMemory: Bool

  private static let ownerMay: UInt16 = 0o600

  /// A new file in the directory of `path`.
  init(for path: FilePath, _ options: Store.Options) throws(Store.Error) {
    let target = try Store.Error.creating { () throws(MappingError) in try File.followingLinks(path) }
    // The creator must be able to write to the file, whatever its mode allows later.
    let file: File
    do {
      file = try File(
        unnamedIn: target.directory, named: target.lastComponent?.string ?? "",
        mode: options.mode | Self.ownerMay)
    } catch {
      guard error.code == .system(.noSuchFileOrDirectory) else { throw .cannotCreate(error) }
      throw Store.Error(
        .cannotCreate, "the store cannot be created: there is no directory \(target.directory)", cause: error)
    }
    file.requestChangesInPlace()
    permissions = try Self.letOwnerWrite(file, options.mode)
    self.file = file
    self.target = target
    timeout = options.timeout
    isInMemory = false
  }

  /// A new file that nobody ever sees; its contents are copied into an empty file at the path.
  init(inMemoryFor path: FilePath, _ options: Store.Options) throws(Store.Error) {
    let target = try Store.Error.creating { () throws(MappingError) in try File.followingLinks(path) }
    let file = try Store.Error.creating { () throws(MappingError) in try File(inMemory: "kvmap") }
    self.file = file
    self.target = target
    permissions = nil
    timeout = options.timeout
    isInMemory = true
  }

  /// Lets the owner write to the file for now. Returns the permissions that it gets in the end; nil
  /// if it has them already.
  private static func letOwnerWrite(_ file: borrowing File, _ mode: UInt16) throws(Store.Error) -> UInt16? {
    do throws(MappingError) {
      let created = try file.status().permissions
      if created & ownerMay != ownerMay { try file.setPermissions(created | ownerMay) }
      let wanted = created & (mode | ~ownerMay)
      return wanted == created | ownerMay ? nil : wanted
    } catch {
      throw .cannotCreate(error)
    }
  }

  /// Maps the file, with locks of its own.
  func map() throws(Store.Error) -> FileBacking { try Self.map(file, hasLocks: !isInMemory) }

  private static func map(
    _ file: borrowing File, hasLocks: Bool = true
  ) throws(Store.Error) -> FileBacking {
    let mapped = try Store.Error.creating { () throws(MappingError) in try file.duplicate() }
    let locks = try Store.Error.creating { () throws(MappingError) in
      try hasLocks ? file.openedAgain() : file.duplicate()
    }
    return try FileBacking(mapped, locks: locks, isWritable: true)
  }

  // MARK: Its name

  /// Makes the store durable and gives it its name.
  ///
  /// - Returns: the store at its path, with lock V held exclusively; nil if something else has the
  ///   name.
  mutating func publish(_ backing: FileBacking) throws(Store.Error) -> FileBacking? {
    // No other handle may attach before it is certain that the name stays.
    guard try backing.locks.tryLock(.valid, .exclusive) else { return nil }
    let isLinked: Bool
    do throws(MappingError) {
      try file.sync()
      // A file system may keep no modes: then there is nothing to set.
      if let permissions { try? file.setPermissions(permissions) }
      isLinked = try file.link(as: target)
    } catch {
      if error.code == .system(.fileExists) { return try putIntoFileThatIsThere() }
      throw .cannotCreate(error)
    }
    if !isLinked { return try putIntoFileOfItsOwn() }
    do throws(MappingError) {
      try File.syncDirectory(target.directory)
    } catch {
      // A caller that is told of a failure must find no file.
      backing.removeName(target)
      throw .cannotCreate(error)
    }
    return backing
  }

  private func putIntoFileOfItsOwn() throws(Store.Error) -> FileBacking? {
    let mode = try Store.Error.creating { () throws(MappingError) in try file.status().permissions }
    let made: File
    do {
      made = try File(
        opening: target, access: .readWrite, create: true, exclusive: true, mode: mode)
    } catch {
      if error.code == .system(.fileExists) { return try putIntoFileThatIsThere() }
      throw .cannotCreate(error)
    }
    let backing = try put(into: made, isOwn: true)
    if backing != nil, let permissions { try? made.setPermissions(permissions) }
    return backing
  }

  private func putIntoFileThatIsThere() throws(Store.Error) -> FileBacking? {
    let found: File
    do { found = try File(opening: target, access: .readWrite) } catch { return nil }
    guard case .empty? = try? FileKind(found) else { return nil }
    return try put(into: found, isOwn: false)
  }

  // MARK: In place

  /// Copies the store into an empty file that has the name.
  ///
  /// - Parameter isOwn: whether this process has just created it.
  /// - Returns: as ``publish(_:)``.
  func put(into empty: borrowing File, isOwn: Bool) throws(Store.Error) -> FileBacking? {
    let backing = try Self.map(empty)
    var patience = Patience(timeout)
    // Others may have open what is left of a store whose file was emptied.
    for lock in [LockName.attached, .valid] {
      while try !backing.locks.tryLock(lock, .exclusive) {
        // Another process may have made it a store and have that open now.
        guard case .empty? = try? FileKind(empty) else { return nil }
        if patience.wait() { continue }
        throw patience.busy(
          try backing.locks.holder(of: lock, against: .exclusive), "has the empty file open")
      }
    }
    do throws(MappingError) {
      // Another process may have made it a store, or may have removed it.
      guard try backing.identity == File.identity(of: target), case .empty = try FileKind(empty) else {
        return nil
      }
    } catch {
      throw .cannotCreate(error)
    }
    do throws(MappingError) {
      try copy(into: empty)
    } catch {
      try? empty.setSize(0)
      // While the locks are held: others must not have begun to use it.
      if isOwn { backing.removeName(target) }
      throw .cannotCreate(error)
    }
    return backing
  }

  /// Copies the store into `empty`. At each moment the file is either marked as unfinished or a
  /// whole store.
  private func copy(into empty: borrowing File) throws(MappingError) {
    empty.requestChangesInPlace()
    let marker = (0..<FileKind.markerBytes).map {
      UInt8(truncatingIfNeeded: FileKind.creationMarker >> (8 * $0))
    }
    try unsafe empty.write(marker.span.bytes, at: 0)
    try empty.setSize(Int64(FileKind.markerBytes))
    try empty.sync()
    try File.syncDirectory(target.directory)
    let (a, b) = (Int64(Layout.superblockOffsets.a), Int64(Layout.superblockOffsets.b))
    let page = Int64(Layout.pageBytes)
    let end = try file.status().size
    // All that has disk space has been written. The rest are holes, and stay holes in the copy.
    try empty.setSize(end)
    for range in [a + page..<b, b + page..<end] {
      try empty.copyData(range, of: file)
    }
    try empty.sync()
    for superblock in [b, a] {
      try empty.copyData(superblock..<superblock + page, of: file)
      try empty.sync()
    }
  }
}

extension FilePath {
  /// The directory that the file is in.
  var directory: FilePath {
    let directory = removingLastComponent()
    return directory.isEmpty ? FilePath(".") : directory
  }
}
