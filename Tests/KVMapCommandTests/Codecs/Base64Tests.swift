import Foundation
import Testing

@testable import KVMapCommand

@Suite("Base64")
struct Base64Tests {
  @Test(
    "encodes as RFC 4648 shows",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"),
    ])
  func vectors(plain: String, encoded: String) {
    var output: [UInt8] = []
    Base64.encode(Array(plain.utf8)[...], into: &output)
    #expect(String(decoding: output, as: UTF8.self) == encoded)
    #expect(Base64.decode(encoded.utf8) == Array(plain.utf8))
  }

  @Test("agrees with Foundation on every byte value and every length up to 300")
  func agrees() {
    for length in 0...300 {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) }
      var output: [UInt8] = []
      Base64.encode(bytes[...], into: &output)
      #expect(String(decoding: output, as: UTF8.self) == Data(bytes).base64EncodedString())
      #expect(Base64.decode(output) == bytes)
    }
  }

  @Test(
    "refuses text that no encoder gives",
    arguments: [
      "Z", "Zg", "Zg=", "Zm8", "Zg===", "=", "====", "Zg==Zg==", "Zh==", "Zm9=", "Zm9v\n", "Zm 9v", "Zm-_",
      "Z=g=",
    ])
  func malformed(text: String) {
    #expect(Base64.decode(text.utf8) == nil)
  }

  @Test("decodes the same in pieces of any size")
  func pieces() {
    let text = Array("AAECAwQFBgcICQ==".utf8)
    for size in 1...text.count {
      var decoder = Base64Decoder()
      var output: [UInt8] = []
      var start = 0
      while start < text.count {
        let end = min(text.count, start + size)
        #expect(decoder.decode(text[start..<end], into: &output))
        start = end
      }
      #expect(decoder.isComplete)
      #expect(output == Array(0...9))
    }
  }
}
