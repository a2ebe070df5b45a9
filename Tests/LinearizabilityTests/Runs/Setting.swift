import KVMap

/// Which processes, handles and threads work on a store at the same time.
struct Setting: Sendable {
  var name: String
  /// The handles of each process.
  var processes: [[Handle]]
  /// Whether processes are killed, and others start in their place.
  var isDeadly = false
  var isInMemory = false

  /// A handle, and how many threads use it.
  struct Handle: Sendable {
    var threads: Int
    var access = Store.Access.readWrite
    var isExclusive = false
    var durability = Store.Durability.none

    var options: Store.Options {
      let options = Store.Options(
        access: access, durability: durability, exclusive: isExclusive, timeout: .seconds(60))
      return options
    }
  }

  /// One thread's place: worker number `index` of a history.
  struct Lane: Sendable {
    var process: Int
    var handle: Int
    var mayWrite: Bool
  }

  var lanes: [Lane] {
    processes.enumerated().flatMap { process, handles in
      handles.enumerated().flatMap { index, handle in
        (0..<handle.threads).map { _ in
          Lane(process: process, handle: index, mayWrite: handle.access == .readWrite)
        }
      }
    }
  }

  static let all: [Setting] = [
    Setting(name: "threads", processes: [[Handle(threads: 3)]]),
    Setting(
      name: "handles",
      processes: [[Handle(threads: 2), Handle(threads: 1), Handle(threads: 1, access: .readOnly)]]),
    Setting(
      name: "exclusive",
      processes: [[Handle(threads: 2, isExclusive: true), Handle(threads: 1, access: .readOnly)]]),
    Setting(name: "memory", processes: [[Handle(threads: 3)]], isInMemory: true),
    Setting(
      name: "processes",
      processes: [
        [Handle(threads: 1)], [Handle(threads: 1, durability: .onCommit)],
        [Handle(threads: 1, access: .readOnly)],
      ]),
    Setting(
      name: "exclusive process",
      processes: [[Handle(threads: 2, isExclusive: true)], [Handle(threads: 2, access: .readOnly)]]),
    Setting(
      name: "kills",
      processes: [
        [Handle(threads: 1)], [Handle(threads: 2)], [Handle(threads: 1, access: .readOnly)],
      ],
      isDeadly: true),
    Setting(
      name: "kills, exclusive",
      processes: [[Handle(threads: 2, isExclusive: true)], [Handle(threads: 1, access: .readOnly)]],
      isDeadly: true),
  ]
}
