#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// The size of the pages in which the kernel maps memory.
///
/// 4 KiB on x86-64, 16 KiB on Apple silicon, 4, 16 or 64 KiB on other ARM
/// machines. It is queried once, never assumed.
public enum PageSize {
  private static let queried = Int(sysconf(Int32(_SC_PAGESIZE)))

  /// Bytes in a page; a power of two.
  public static var bytes: Int { queried }

  /// `value` down to a multiple of the page size.
  package static func roundDown(_ value: Int) -> Int { value & ~(bytes - 1) }

  /// `value` up to a multiple of the page size; `nil` past `Int.max`.
  package static func roundUp(_ value: Int) -> Int? {
    let (sum, overflow) = value.addingReportingOverflow(bytes - 1)
    return overflow ? nil : sum & ~(bytes - 1)
  }
}
