import Foundation
public import KVMap

extension Store {
  /// How `Codable` values become bytes and bytes values: as JSON, as property lists, or by any encoder
  /// and decoder.
  ///
  ///     struct Session: Codable { var user: String; var visits: Int }
  ///
  ///     try store.put(Session(user: "anna", visits: 1), forKey: "session/1", as: .json)
  ///     let session = try store.get("session/1", as: Session.self, from: .json)
  ///
  /// With other options than ``json``'s, or another format:
  ///
  ///     extension Store.Coding {
  ///       static let isoDates: Store.Coding = {
  ///         let encoder = JSONEncoder()
  ///         encoder.dateEncodingStrategy = .iso8601
  ///         let decoder = JSONDecoder()
  ///         decoder.dateDecodingStrategy = .iso8601
  ///         return Store.Coding(
  ///           encode: { try encoder.encode($0) }, decode: { try decoder.decode($0, from: $1) })
  ///       }()
  ///     }
  public struct Coding: Sendable {
    private let encode: @Sendable (any Encodable) throws -> any Store.ByteSource
    private let decode: @Sendable (any Decodable.Type, RawSpan) throws -> any Decodable

    /// A coding made of an encoder and a decoder.
    ///
    /// - Parameters:
    ///   - encode: makes bytes, such as `Data` or `[UInt8]`, of a value. May be called by several
    ///     threads at once. For values that are compared as bytes, as by
    ///     `compareAndSet`, equal ones need equal bytes.
    ///   - decode: makes a value of the type that it is given from such bytes.
    public init<Bytes: Store.ByteSource & Store.ByteDecodable>(
      encode: @escaping @Sendable (any Encodable) throws -> Bytes,
      decode: @escaping @Sendable (any Decodable.Type, Bytes) throws -> any Decodable
    ) {
      self.encode = encode
      self.decode = { type, bytes in try decode(type, try Bytes(copying: bytes)) }
    }

    /// JSON with sorted keys, so that equal values give equal bytes. Dates are numbers, and `Data` is
    /// base64.
    public static let json: Coding = {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      let decoder = JSONDecoder()
      return Coding(encode: { try encoder.encode($0) }, decode: { try decoder.decode($0, from: $1) })
    }()

    /// Binary property lists. The outermost value has to be one with several parts: a type with
    /// fields, an array or a dictionary.
    public static let propertyList: Coding = {
      let encoder = PropertyListEncoder()
      encoder.outputFormat = .binary
      let decoder = PropertyListDecoder()
      return Coding(encode: { try encoder.encode($0) }, decode: { try decoder.decode($0, from: $1) })
    }()

    // MARK: Errors

    /// The bytes of `value`.
    ///
    /// - Throws: `invalidValue` if it cannot be encoded.
    func bytes<Value: Encodable>(of value: Value) throws(Store.Error) -> any Store.ByteSource {
      do {
        return try encode(value)
      } catch {
        throw Store.Error(
          .invalidValue, "a value of type \(Value.self) cannot be encoded: \(Self.reason(error))")
      }
    }

    /// The value that is encoded as `bytes`.
    ///
    /// - Throws: `invalidValue`, with what is missing or wrong, and where.
    func value<Value: Decodable>(
      _ type: Value.Type = Value.self, of bytes: RawSpan
    ) throws(Store.Error) -> Value {
      let decoded: any Decodable
      do {
        decoded = try decode(type, bytes)
      } catch {
        throw Store.Error(
          .invalidValue,
          "the value (\(bytes.byteCount) bytes) cannot be decoded as \(type): \(Self.reason(error))")
      }
      guard let value = decoded as? Value else {
        throw Store.Error(
          .invalidValue, "the decoder made a \(Swift.type(of: decoded)) where a \(type) was asked for")
      }
      return value
    }

    /// What an encoder or decoder complains about, and where in the value.
    private static func reason(_ error: any Swift.Error) -> String {
      switch error {
      case DecodingError.keyNotFound(let key, let context):
        "'\(path(context.codingPath + [key]))' is missing"
      case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
        DecodingError.dataCorrupted(let context):
        reason(context.codingPath, context.debugDescription, context.underlyingError)
      case EncodingError.invalidValue(_, let context):
        reason(context.codingPath, context.debugDescription, context.underlyingError)
      case let error as Store.Error: error.message
      default: "\(error)"
      }
    }

    private static func reason(
      _ path: [any CodingKey], _ description: String, _ cause: (any Swift.Error)?
    ) -> String {
      let place = path.isEmpty ? "" : "at '\(Self.path(path))': "
      return place + description + (cause.map { " (\($0))" } ?? "")
    }

    /// Such as `items[2].price`.
    private static func path(_ keys: [any CodingKey]) -> String {
      var path = ""
      for key in keys {
        if let index = key.intValue {
          path += "[\(index)]"
        } else {
          path += (path.isEmpty ? "" : ".") + key.stringValue
        }
      }
      return path
    }
  }
}
