import KVMap
import MappedMemory
import SystemPackage

/// The exit statuses; those from 64 are the ones of BSD's sysexits.
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
  /// nil where the status says all.
  var message: String?

  init(_ status: ExitStatus, _ message: String? = nil) {
    self.status = status
    self.message = message
  }

  /// The one place that turns errors into statuses.
  init(_ error: any Error, store: String) {
    switch error {
    case let failure as Failure:
      self = failure
    case let error as StoreError:
      self.init(error, store: store)
    case let error as DamagedInput:
      self.init(.damaged, "\(error)")
    case let error as Errno:
      self.init(.inputOutput, "input or output failed: \(error)")
    default:
      self.init(.failure, "\(error)")
    }
  }

  private init(_ error: StoreError, store: String) {
    status = ExitStatus(error)
    switch error.code {
    case .notFound:
      message = error.message
    case .busy:
      message = error.message.replacing("wait longer", with: "wait longer with --timeout")
    default:
      message = error.message
    }
  }
}

extension ExitStatus {
  fileprivate init(_ error: StoreError) {
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
