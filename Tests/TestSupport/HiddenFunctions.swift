#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A function of the C library that its Swift module hides.
package func hidden<Function>(_ name: String, as type: Function.Type) -> Function {
  unsafe unsafeBitCast(dlsym(nil, name)!, to: type)
}
