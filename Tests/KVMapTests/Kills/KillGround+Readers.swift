import SystemPackage
import TestSupport

@testable import KVMap

/// A reader beside the writers that are killed.
struct KillReader {
  let board = Board()
  private let child: ForkedChild
  private var past = 0

  /// Starts the reader. Another handle is open then, so that it sees the shared state and has
  /// no private view.
  init(_ ground: KillGround, _ scripts: [Script], _ floors: [Board]) throws {
    let host = try ground.scratch.store()
    let watcher = Watcher(path: ground.path.string, scripts: scripts, floors: floors, board: board)
    child = ForkedChild(board) { try watcher.run() }
    let board = board
    guard try child.waits(until: { board.reads > 0 }) else { throw Self.failure(board) }
    try host.close()
  }

  private static func failure(_ board: Board) -> KillFailure {
    KillFailure("the reader gave up after \(board.reads) reads: \(board.message)")
  }

  /// The reader goes on, whichever processes are dead.
  func expectProgress() throws {
    let before = board.reads
    guard try child.waits(until: { board.reads >= before + 3 }) else { throw Self.failure(board) }
  }

  func kill() throws {
    if child.hasEnded { throw Self.failure(board) }
    child.kill()
    if !child.wasKilled { throw Self.failure(board) }
  }
}
