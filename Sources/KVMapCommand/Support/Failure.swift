import KVMap
import MappedMemory
import SystemPackage

/// The exit statuses. Those from 64 on have the meaning that BSD's sysexits gives them.
struct ExitStatus: RawRepresentable, Equatable {
  let rawValue: Int32

  static let done = ExitStatus(rawValue: 0)
  static let absent = ExitStatus(rawValue: 1)
  static let failure = ExitStatus(rawValue: 2)
  static let usage = ExitStatus(rawValue: 64)
  static let damaged = ExitStatus(rawValue: 65)
  static let cannotCreate = ExitStatus(rawValue: 73)
  static let inputOutput = ExitStatus(rawValue: 74)
  static let busy = ExitStatus(rawValue: 75)
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
