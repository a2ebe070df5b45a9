/// The readers of dumps and batches: they give records, or an error with its place.
enum DumpTarget {
  static func read(_ bytes: [UInt8], _ format: DumpFormat) -> CInt {
    read(format.makeReader(input(bytes)))
  }

  static func readTable(_ bytes: [UInt8], _ separator: SeparatedReader.Separator) -> CInt {
    read(SeparatedReader(input(bytes), separator, hasHeader: false))
  }

  private static func read(_ dump: any DumpReader) -> CInt {
    var reader = dump
    var record = DumpRecord()
    do {
      while true {
        do {
          guard try reader.next(into: &record) else { break }
          precondition(record.key.count <= DumpRecord.longestKey)
        } catch let fault as DamagedInput {
          guard fault.sparesRest else { break }
          try reader.skipFault()
        }
      }
    } catch is DamagedInput {
    } catch {
      fatalError("an error of another type: \(error)")
    }
    return 0
  }

  static func readBatch(_ bytes: [UInt8]) -> CInt {
    var reader = BatchReader(input(bytes))
    do {
      while try reader.next() != nil {}
    } catch is DamagedInput {
    } catch {
      fatalError("an error of another type: \(error)")
    }
    return 0
  }

  static func readKeys(_ bytes: [UInt8]) -> CInt {
    var reader = NullFramedReader(input(bytes))
    do {
      while try reader.next() != nil {}
    } catch is DamagedInput {
    } catch {
      fatalError("an error of another type: \(error)")
    }
    return 0
  }

  /// The input in pieces, which may end anywhere.
  private static func input(_ bytes: [UInt8]) -> ByteInput {
    let size = 1 + Int(bytes.first ?? 0) % 31
    var position = 0
    return ByteInput {
      let piece = Array(bytes[position..<min(bytes.count, position + size)])
      position += piece.count
      return piece
    }
  }
}
