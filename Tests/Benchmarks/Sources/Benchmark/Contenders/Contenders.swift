/// All contenders of this build, in the order of the table.
enum Contenders {
  static var all: [any Contender.Type] {
    var all: [any Contender.Type] = [SharedStore.self, ExclusiveStore.self, GDBMContender.self]
    #if Tkrzw
      all.append(TkrzwContender.self)
    #endif
    #if Kyoto
      all.append(KyotoContender.self)
    #endif
    #if TDB
      all.append(TDBContender.self)
    #endif
    #if LMDB
      all.append(LMDBContender.self)
    #endif
    #if SQLite
      all.append(SQLiteContender.self)
    #endif
    return all + [DictionaryContender.self, BareTable.self]
  }

  static func named(_ identifier: String) throws -> any Contender.Type {
    guard let found = all.first(where: { $0.about.identifier == identifier }) else {
      throw Wrong("there is no contender \(identifier), or its trait is not enabled")
    }
    return found
  }
}
