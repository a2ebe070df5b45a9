import KVMap
import MappedMemory
import SystemPackage

/// The exit statuses. Those from 64 on have the meaning that BSD's sysexits gives them.
enum ExitStatus: Int32 {
  case done = 0
  case absent = 1
  case failure = 2
  case usage = 64
  case damaged = 65
  case cannotCreate = 73
  case inputOutput = 74
  case busy = 75
}

/// Ends the command with a status and a message.
struct Failure: Error, Equatable {
  var status: ExitStatus
  /// Nil if the status says everything.
  var message: String?

  init(_ status: ExitStatus, _ message: String? = nil) {
    self.status = status
    self.message = message
  }

  /// The one place that turns errors into statuses.
  init(reporting error: any Error) {
    switch error {
    case let failure as Failure:
      self = failure
    case let error as Store.Error:
      self.init(ExitStatus(error), Self.message(of: error))
    case let error as DamagedInput:
      self.init(.damaged, "\(error)")
    case let error as Errno:
      self.init(.inputOutput, "input or output failed: \(error)")
    default:
      self.init(.failure, "\(error)")
    }
  }

  private static func message(of error: Store.Error) -> String {
    guard error.code == .busy else { return error.message }
    return error.message.replacing("wait longer", with: "wait longer with --timeout")
  }
}

extension ExitStatus {
  fileprivate init(_ error: Store.Error) {
    switch error.code {
    case .damaged, .notAStore: self = .damaged
    case .cannotCreate: self = .cannotCreate
    case .diskFull, .lost, .outcomeUnknown: self = .inputOutput
    case .system where error.cause?.errno == .ioError: self = .inputOutput
    case .busy: self = .busy
    default: self = .failure
    }
  }
}
