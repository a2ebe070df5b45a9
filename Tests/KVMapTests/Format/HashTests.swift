import TestSupport
import Testing

@testable import KVMap

/// The hash of keys and the checksum, against values computed by other programs.
struct HashTests {
  private static let seed = StoreSeed(low: 0x0706_0504_0302_0100, high: 0x0f0e_0d0c_0b0a_0908)

  /// Key 00 01 … 0f, message 00 01 …, as in the authors' test vectors, which are for
  /// SipHash-2-4. These values are from an independent implementation that agrees with those
  /// vectors when it does 2 and 4 rounds.
  @Test(
    arguments: [
      (0, 0xabac_0158_050f_c4dc), (1, 0xc9f4_9bf3_7d57_ca93), (2, 0x82cb_9b02_4dc7_d44d),
      (3, 0x8bf8_0ab8_e7dd_f7fb), (7, 0xd392_7d98_9bb1_1140), (8, 0x3690_9511_8d29_9a8e),
      (9, 0x25a4_8eb3_6c06_3de4), (15, 0xd320_d86d_2a51_9956), (16, 0xcc4f_dd1a_7d90_8b66),
      (17, 0x9cf2_6890_63db_d80c), (31, 0x2370_dd1f_8c21_d1bc), (63, 0x9d19_9062_b7bb_b3a8),
      (64, 0xf179_97ec_4b4a_6065), (255, 0xf762_14e3_153c_4a15), (256, 0x75b3_e64e_167d_e370),
      (1000, 0x2cf8_d9d4_f270_cadf),
    ] as [(Int, UInt64)])
  func keyHashIsSipHash13(count: Int, expected: UInt64) {
    let message = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    #expect(unsafe KeyHash(message.span.bytes, seed: Self.seed).bits == expected)
  }

  @Test(
    arguments: [
      (0, 0xc5af_bf2d_3904_c0a0), (1, 0x66af_f8a2_6c1b_b2b2), (2, 0x49cd_a42d_a4ce_0b7b),
      (3, 0x6f56_3ec2_0205_fe33), (4, 0xb353_7790_91b0_26a8), (5, 0xd8cc_6f91_2464_5653),
      (7, 0x6e79_93e9_ac4a_a33b), (8, 0xd1f6_60ca_6d01_9395), (9, 0x87b1_b577_d350_e60f),
      (12, 0xcb73_290d_4d4c_c5e9), (15, 0x3795_04cd_ac95_c9de), (16, 0x1838_94d6_9528_280b),
      (17, 0x630b_7e8c_f17a_eaf9), (24, 0xc61a_09c0_6954_b232), (31, 0x4b28_eed2_21ad_4c8c),
      (32, 0x36e7_7865_5a74_8ba9), (255, 0x4fc7_6a3f_fc53_a7bb), (256, 0xcfd1_ea75_3cde_00c6),
      (257, 0xbdba_deaf_786f_2bc6), (319, 0x4110_86a2_d056_2a5f), (320, 0x5499_6016_22c7_0b36),
      (321, 0x6762_43df_0148_7e43), (384, 0xcb06_65f5_e036_3bd5), (4088, 0x0759_af8e_949b_c86d),
      (65_536, 0x8442_bb70_807e_eca7),
    ] as [(Int, UInt64)])
  func checksumHasKnownAnswers(count: Int, expected: UInt64) {
    // At an odd offset: alignment must not matter.
    let buffer = ByteBuffer(count: count + 64)
    for index in 0..<count { buffer.bytes.store8(UInt8(truncatingIfNeeded: index * 7 + 1), 3 + index) }
    let found = Checksum.compute(buffer.bytes, 3, count: count, seed: Self.seed, place: 0x10040)
    #expect(found == expected)
  }

  @Test func theChainHasAKnownAnswer() {
    #expect(Checksum.chain(1, 0x89ab_cdef) == 0xd736_2a30_f090_247a)
  }

  @Test(arguments: [24, 40, 61, 300, 4088])
  func checksumNoticesEachBit(count: Int) {
    let buffer = ByteBuffer(count: count)
    for index in 0..<count { buffer.bytes.store8(UInt8(truncatingIfNeeded: index &* 31), index) }
    func sum(_ place: UInt64 = 4096, _ seed: StoreSeed = Self.seed) -> UInt32 {
      UInt32(truncatingIfNeeded: Checksum.compute(buffer.bytes, 0, count: count, seed: seed, place: place))
    }
    let right = sum()
    for bit in 0..<count * 8 {
      let byte = buffer.bytes.load8(bit / 8)
      buffer.bytes.store8(byte ^ 1 << UInt8(bit % 8), bit / 8)
      #expect(sum() != right, "bit \(bit)")
      buffer.bytes.store8(byte, bit / 8)
    }
    // The same bytes at another place, or in another store, have another checksum.
    #expect(sum(4104) != right)
    #expect(sum(4096, StoreSeed(low: Self.seed.low ^ 1, high: Self.seed.high)) != right)
    #expect(sum(4096, StoreSeed(low: Self.seed.low, high: Self.seed.high ^ 1)) != right)
  }

  @Test func aKeyHasTwoDifferentLines() {
    var generator = SeededGenerator(seed: testSeed("aKeyHasTwoDifferentLines"))
    var seen = Set<Int>()
    let ends: [UInt64] = [0, .max, 1, 1 << 63, 0x9e37_79b9_7f4a_7c15]
    for bits in ends + (0..<50_000).map({ _ in generator.next() }) {
      let lines = KeyHash(bits: bits).lines
      #expect((1...63).contains(lines.first) && (1...63).contains(lines.second))
      #expect(lines.first != lines.second)
      seen.formUnion([lines.first, lines.second])
    }
    #expect(seen == Set(1...63))
  }

  /// Keys of one deep page share their first bits. They must not share their lines.
  @Test func linesDoNotFollowFromTheFirstBits() {
    var generator = SeededGenerator(seed: testSeed("linesDoNotFollowFromTheFirstBits"))
    var counts = [Int](repeating: 0, count: 64)
    for _ in 0..<63_000 {
      let lines = KeyHash(bits: 0xabcd_e000_0000_0000 | generator.next() >> 20).lines
      counts[lines.first] += 1
      counts[lines.second] += 1
    }
    // 2,000 each on average, with a standard deviation of 45.
    #expect(counts[1...].allSatisfy { (1_600...2_400).contains($0) }, "\(counts)")
  }

  @Test func entriesAndBitsReadTheHashFromTheTop() {
    let hash = KeyHash(bits: 0x8123_4567_89ab_cdef)
    #expect(hash.tag == 0xcdef)
    #expect(hash.entry(depth: 0) == 0x81)
    #expect(hash.entry(depth: 4) == 0x12)
    #expect(hash.entry(depth: 8) == 0x23)
    #expect(hash.entry(depth: 60) == 0xf0)
    #expect(
      (0..<9).map { hash.bit(depth: $0) } == [true, false, false, false, false, false, false, true, false])
  }
}
