import ArgumentParser
import KVMap

struct Batch: StoreCommand {
  static let configuration = CommandConfiguration(
    commandName: "batch",
    abstract: "Carry out many operations, all or none.",
    discussion: """
      Reads operations from standard input, a JSON object a line:
        {"put":"sky","value":"blue"}
        {"put":"job-17","value":"host-3","if":"absent","ttl_ms":900000}
        {"delete":"sea"}
        {"put":true,"key_b64":"/wA=","value_b64":"AAE="}
        {"delete":true,"key_b64":"/wE=","if":"present"}
      "put" and "delete" hold the key. If it is not UTF-8, they hold true and key_b64 holds it in Base64; \
      likewise value_b64. "if" is absent or present; "ttl_ms" lets the key expire. Deleting an absent key is no \
      failure. Empty lines are skipped.

      All operations are read, then carried out as one transaction. If a line is malformed (status 65) or a \
      condition is not met (status 1), the message names the line and nothing changes. With --each, every operation \
      stands alone: those before a malformed line stay, and an operation whose condition is not met is skipped; with --durable too, \
      the next one is begun when it is safe. The store is created if it does not exist.

      EXAMPLES
        kvmap batch colours.kvmap < operations.jsonl
        printf '{"delete":"a"}\\n{"put":"b","value":""}\\n' | kvmap batch colours.kvmap
        tail -f operations.jsonl | kvmap batch --each colours.kvmap
      """)

  @Argument(help: "The store.", completion: .file())
  var store: String

  @Flag(help: "Carry out each operation by itself, as soon as it is read.")
  var each = false

  @Flag(help: "Fail if the store does not exist.")
  var noCreate = false

  @OptionGroup var durable: DurableOption
  @OptionGroup var common: CommonOptions

  func run() throws {
    let input = try InputFile(nil)
    try input.check(besides: store)
    let progress = Progress(
      self, unit: "operations",
      share: { input.size.map { min(1, Double(input.bytesRead) / Double($0)) } })
    defer { progress.clear() }
    var reader = BatchReader(ByteInput { try input.read() })
    if each {
      try carryOutEach(&reader, progress)
    } else {
      try carryOutAll(&reader, progress)
    }
  }

  // MARK: All

  private func carryOutAll(_ reader: inout BatchReader, _ progress: Progress) throws {
    // Reading first keeps the time with the write lock short, even if the operations come slowly.
    var operations: [BatchOperation] = []
    do {
      while let operation = try reader.next() {
        operations.append(operation)
        progress.update(operations.count)
      }
    } catch let fault as DamagedInput {
      throw Failure(.damaged, "\(fault); nothing was changed")
    }
    let store = try openForWriting(create: !noCreate)
    try store.transaction(durability: durable.durability) { transaction in
      for operation in operations where try !carryOut(operation, in: transaction) {
        throw Failure(.absent, "\(Self.unmet(operation)); nothing was changed")
      }
    }
    try store.close()
  }

  /// - Returns: false if the condition is not met.
  private func carryOut(
    _ operation: BatchOperation, in transaction: borrowing Store.Transaction
  ) throws -> Bool {
    switch operation.kind {
    case .put(let value, let timeToLive):
      return try transaction.put(
        value, forKey: operation.key, if: operation.condition,
        expires: timeToLive.map { .after($0) } ?? .never)
    case .delete:
      return try transaction.remove(operation.key) || operation.condition != .present
    }
  }

  // MARK: Each

  private func carryOutEach(_ reader: inout BatchReader, _ progress: Progress) throws {
    let store = try openForWriting(create: !noCreate)
    var done = 0
    var unmet = 0
    do {
      while let operation = try reader.next() {
        if try carryOut(operation, on: store) {
          done += 1
        } else {
          unmet += 1
          progress.clear()
          note(Self.unmet(operation))
        }
        progress.update(done)
      }
    } catch let fault as DamagedInput {
      throw Failure(
        .damaged, "\(fault); what stands before it was carried out and stays: \(counted(done, "operation"))")
    }
    try store.close()
    if unmet > 0 {
      throw Failure(
        .absent, "\(counted(unmet, "condition")) not met; carried out: \(counted(done, "operation"))")
    }
  }

  private func carryOut(_ operation: BatchOperation, on store: Store) throws -> Bool {
    switch operation.kind {
    case .put(let value, let timeToLive):
      return try store.put(
        value, forKey: operation.key, if: operation.condition,
        expires: timeToLive.map { .after($0) } ?? .never, durability: durable.durability)
    case .delete:
      let wasPresent = try store.remove(operation.key, durability: durable.durability)
      return wasPresent || operation.condition != .present
    }
  }

  private static func unmet(_ operation: BatchOperation) -> String {
    let state = operation.condition == .absent ? "is there already" : "is absent"
    return "line \(operation.line): condition not met: the key \(TerminalText.quote(operation.key)) \(state)"
  }
}
