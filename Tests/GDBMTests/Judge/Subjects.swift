import KVMap
import SystemPackage

/// Something that carries out operations.
protocol Subject {
  static var name: String { get }
  func perform(_ operation: Operation) throws -> Answer
  /// All keys and values. A key that comes twice is an error.
  func contents() throws -> [[UInt8]: [UInt8]]
}

/// Some subject disagrees with the others, or with itself.
struct Disagreement: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The judge: the answers of a dictionary are right.
final class DictionarySubject: Subject {
  static let name = "the dictionary"
  private var records: [[UInt8]: [UInt8]] = [:]

  func perform(_ operation: Operation) throws -> Answer {
    switch operation {
    case .put(let key, let value, let condition):
      let isMet = condition == .always || (records[key] != nil) == (condition == .present)
      if isMet { records[key] = value }
      return .flag(isMet)
    case .remove(let key): return .flag(records.removeValue(forKey: key) != nil)
    case .get(let key): return .value(records[key])
    case .contains(let key): return .flag(records[key] != nil)
    case .count: return .number(records.count)
    case .transaction(let steps, let commits):
      let before = records
      let answers = try steps.map { try perform($0) }
      if !commits { records = before }
      return .several(answers)
    case .sync, .reopen: return .done
    }
  }

  func contents() -> [[UInt8]: [UInt8]] { records }
}

/// The library under test.
final class StoreSubject: Subject {
  static let name = "KVMap"
  let path: FilePath
  private var store: Store

  init(_ path: FilePath) throws {
    self.path = path
    store = try Store(path)
  }

  private struct TakenBack: Error {
    let answers: [Answer]
  }

  func perform(_ operation: Operation) throws -> Answer {
    switch operation {
    case .put(let key, let value, let condition):
      return .flag(try store.put(value, forKey: key, if: condition))
    case .remove(let key): return .flag(try store.remove(key))
    case .get(let key): return .value(try store.get(key))
    case .contains(let key): return .flag(try store.contains(key))
    case .count: return .number(try store.count)
    case .transaction(let steps, let commits):
      do {
        return try store.transaction { transaction in
          var answers: [Answer] = []
          for step in steps { answers.append(try perform(step, transaction)) }
          if !commits { throw TakenBack(answers: answers) }
          return .several(answers)
        }
      } catch let error as TakenBack {
        return .several(error.answers)
      }
    case .sync:
      try store.sync()
      return .done
    case .reopen(let exclusive, let durability):
      try store.close()
      let options = Store.Options(create: false, durability: durability, exclusive: exclusive)
      store = try Store(path, options: options)
      return .done
    }
  }

  private func perform(_ step: Operation, _ transaction: borrowing Store.Transaction) throws -> Answer {
    switch step {
    case .put(let key, let value, let condition):
      .flag(try transaction.put(value, forKey: key, if: condition))
    case .remove(let key): .flag(try transaction.remove(key))
    case .get(let key): .value(try transaction.get(key))
    case .contains(let key): .flag(try transaction.contains(key))
    default: throw Disagreement("\(step) is no step of a transaction")
    }
  }

  /// The contents by cursor and by `forEach`, which have to agree.
  func contents() throws -> [[UInt8]: [UInt8]] {
    let records = try store.contents()
    var cursor = store.makeCursor()
    var count = 0
    while let entry = try cursor.next() {
      guard records[entry.key] == entry.value else {
        throw Disagreement("the cursor gives \(show(entry.key)) = \(show(entry.value)), forEach does not")
      }
      count += 1
    }
    guard count == records.count else {
      throw Disagreement("the cursor gives \(count) records, forEach \(records.count)")
    }
    return records
  }

  func close() throws { try store.close() }
}

/// gdbm.
final class GDBMSubject: Subject {
  static let name = "gdbm"
  private let path: FilePath
  private var database: GDBMDatabase

  init(_ path: FilePath) throws {
    self.path = path
    database = try GDBMDatabase(path)
  }

  func perform(_ operation: Operation) throws -> Answer {
    switch operation {
    case .put(let key, let value, .absent):
      return .flag(try database.store(value, forKey: key, replacing: false))
    case .put(let key, let value, let condition):
      if condition == .present, try !database.exists(key) { return .flag(false) }
      return .flag(try database.store(value, forKey: key))
    case .remove(let key): return .flag(try database.delete(key))
    case .get(let key): return .value(try database.fetch(key))
    case .contains(let key): return .flag(try database.exists(key))
    case .count: return .number(try database.count())
    case .transaction(let steps, let commits):
      // gdbm has no transactions, so this undoes the changes.
      var before: [[UInt8]: [UInt8]?] = [:]
      for case .put(let key, _, _) in steps { before[key] = .some(try database.fetch(key)) }
      for case .remove(let key) in steps { before[key] = .some(try database.fetch(key)) }
      let answers = try steps.map { try perform($0) }
      if !commits {
        for (key, value) in before {
          if let value { _ = try database.store(value, forKey: key) } else { _ = try database.delete(key) }
        }
      }
      return .several(answers)
    case .sync:
      try database.sync()
      return .done
    case .reopen:
      try database.close()
      database = try GDBMDatabase(path)
      return .done
    }
  }

  func contents() throws -> [[UInt8]: [UInt8]] {
    var records: [[UInt8]: [UInt8]] = [:]
    try database.forEach { key, value in
      guard records.updateValue(value, forKey: key) == nil else {
        throw Disagreement("gdbm gives \(show(key)) twice")
      }
    }
    return records
  }
}
