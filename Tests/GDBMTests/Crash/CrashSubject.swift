import CGDBM
import Foundation
import KVMap
import SystemPackage
import TestSupport

/// A store in one of its modes, whose processes are killed and whose files are damaged.
protocol CrashSubject: Sendable {
  var name: String { get }
  /// Makes a file with these records, and closes it.
  func create(_ path: FilePath, _ records: CrashScript.Contents) throws
  /// Opens the file and makes one change after the other, without end.
  func change(_ path: FilePath, _ script: CrashScript, returned: (Int) -> Void) throws
  /// Opens the file and calls `look`, which asks for values by key and returns whether all were
  /// answered. If the file needs a repair, repairs it and calls `look` again.
  func examine(_ path: FilePath, _ look: ((_ key: [UInt8]) throws -> [UInt8]?) -> Bool) throws -> Repair
  /// Opens the file for reading.
  func read(_ path: FilePath, _ look: (_ get: (_ key: [UInt8]) throws -> [UInt8]?) throws -> Void) throws
}

enum Repair {
  case unneeded
  case done
  case failed
}

/// KVMap.
struct StoreCrashSubject: CrashSubject {
  let durability: Store.Durability
  var name: String { durability == .onCommit ? "KVMap, onCommit" : "KVMap" }

  func create(_ path: FilePath, _ records: CrashScript.Contents) throws {
    let store = try Store(path)
    for (key, value) in records { try store.put(value, forKey: key) }
    try store.close()
  }

  func change(_ path: FilePath, _ script: CrashScript, returned: (Int) -> Void) throws {
    let store = try Store(path, options: Store.Options(durability: durability))
    for number in 0... {
      switch script[number] {
      case .put(let key, let value): try store.put(value, forKey: key)
      case .remove(let key): try store.remove(key)
      }
      returned(number + 1)
    }
  }

  func examine(_ path: FilePath, _ look: ((_ key: [UInt8]) throws -> [UInt8]?) -> Bool) throws -> Repair {
    let store = try Store(path, options: Store.Options(create: false))
    let isRight = look { try store.get($0) }
    let isSound = try store.verify().isSound
    try store.close()
    // There is no repair: opening has to do everything.
    return isRight && isSound ? .unneeded : .failed
  }

  func read(_ path: FilePath, _ look: (_ get: (_ key: [UInt8]) throws -> [UInt8]?) throws -> Void) throws {
    let store = try Store(path, options: Store.Options(access: .readOnly))
    try look { try store.get($0) }
  }
}

/// gdbm.
struct GDBMCrashSubject: CrashSubject {
  /// When the library syncs.
  enum Mode {
    case byDefault
    /// After each change (GDBM_SYNC).
    case syncing
    /// After each change, with two snapshots.
    case snapshots
  }

  let mode: Mode

  var name: String {
    switch mode {
    case .byDefault: "gdbm"
    case .syncing: "gdbm, GDBM_SYNC"
    case .snapshots: "gdbm, crash tolerance"
    }
  }

  private func snapshots(_ path: FilePath) -> (even: FilePath, odd: FilePath) {
    (FilePath(path.string + ".even"), FilePath(path.string + ".odd"))
  }

  func create(_ path: FilePath, _ records: CrashScript.Contents) throws {
    let flags = GDBM_NEWDB | (mode == .snapshots ? GDBM_NUMSYNC : 0)
    let database = try GDBMDatabase(path, flags: flags)
    for (key, value) in records { _ = try database.store(value, forKey: key) }
    try database.close()
  }

  func change(_ path: FilePath, _ script: CrashScript, returned: (Int) -> Void) throws {
    let database = try GDBMDatabase(path, flags: GDBM_WRITER | (mode == .syncing ? GDBM_SYNC : 0))
    if mode == .snapshots {
      try database.keepSnapshots(snapshots(path).even, snapshots(path).odd)
    }
    for number in 0... {
      switch script[number] {
      case .put(let key, let value): _ = try database.store(value, forKey: key)
      case .remove(let key): _ = try database.delete(key)
      }
      if mode == .snapshots { try database.sync() }
      returned(number + 1)
    }
  }

  /// Why gdbm has no crash tolerance here; nil if it has.
  static func reasonAgainstSnapshots(in scratch: Scratch) -> String? {
    let subject = GDBMCrashSubject(mode: .snapshots)
    let path = scratch.path("probe")
    do {
      try subject.create(path, [:])
      let database = try GDBMDatabase(path, flags: GDBM_WRITER)
      try database.keepSnapshots(subject.snapshots(path).even, subject.snapshots(path).odd)
      try database.sync()
      return nil
    } catch {
      return "\(error)"
    }
  }

  func examine(_ path: FilePath, _ look: ((_ key: [UInt8]) throws -> [UInt8]?) -> Bool) throws -> Repair {
    var place = path
    if mode == .snapshots, FileManager.default.fileExists(atPath: snapshots(path).even.string) {
      var chosen: UnsafePointer<CChar>?
      let (even, odd) = snapshots(path)
      let status = unsafe even.string.withCString { even in
        unsafe odd.string.withCString { odd in
          let status = unsafe gdbm_latest_snapshot(even, odd, &chosen)
          if let chosen = unsafe chosen { place = FilePath(unsafe String(cString: chosen)) }
          return status
        }
      }
      guard status == Int32(GDBM_SNAPSHOT_OK.rawValue) else {
        throw GDBMError(operation: "snapshots", code: 0)
      }
    }
    let database = try GDBMDatabase(place, flags: GDBM_WRITER)
    defer { try? database.close() }
    if look({ try database.fetch($0) }), !database.needsRecovery { return .unneeded }
    if (try? database.recover()) == nil { return .failed }
    _ = look { try database.fetch($0) }
    return .done
  }

  func read(_ path: FilePath, _ look: (_ get: (_ key: [UInt8]) throws -> [UInt8]?) throws -> Void) throws {
    let database = try GDBMDatabase(path, flags: GDBM_READER)
    try look { try database.fetch($0) }
  }
}
