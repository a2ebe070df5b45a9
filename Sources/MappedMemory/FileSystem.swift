import CMappedMemory

/// Where a file system keeps its files.
public enum FileSystemKind: Sendable, Hashable {
  /// On this machine, as far as the system says: FUSE counts as local.
  case local
  /// On another machine: `name` says by which protocol. Memory mapped on two
  /// machines is not the same memory, and locks may hold on one of them only.
  case network(name: String)
}

/// The file system that a file is on.
public struct FileSystem: Sendable, Equatable {
  /// Local, or over which network protocol.
  public let kind: FileSystemKind
  /// Whether it is mounted read-only.
  public let isReadOnly: Bool
  /// Its size in bytes.
  public let totalBytes: UInt64
  /// Bytes that a user without privileges may still fill.
  public let availableBytes: UInt64

  init(_ answer: kvmap_file_system) {
    isReadOnly = answer.is_read_only
    totalBytes = answer.total_bytes
    availableBytes = answer.available_bytes
    if answer.is_local < 0 {
      kind = Self.networkNames[answer.magic].map { .network(name: $0) } ?? .local
    } else {
      kind = answer.is_local == 1 ? .local : .network(name: Self.name(of: answer))
    }
  }

  private static func name(of answer: kvmap_file_system) -> String {
    var name = answer.name
    return unsafe withUnsafeBytes(of: &name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// Magic numbers of statfs(2), <linux/magic.h> and the file systems' sources.
  static let networkNames: [UInt64: String] = [
    0x6969: "NFS",
    0xFF53_4D42: "CIFS",
    0xFE53_4D42: "SMB2",
    0x517B: "SMB",
    0x5346_414F: "AFS",
    0x6B41_4653: "kAFS",
    0x0102_1997: "9P",
    0x00C3_6400: "Ceph",
    0x0BD0_0BD0: "Lustre",
    0x7375_7245: "Coda",
    0x564C: "NCP",
    0x4750_4653: "GPFS",
    0x0116_1970: "GFS2",
    0x7461_636F: "OCFS2",
    0xAAD7_AAEA: "PanFS",
    0x2003_0528: "OrangeFS",
    0xA501_FCF5: "VxFS cluster",
    0x1983_0326: "BeeGFS",
  ]
}
