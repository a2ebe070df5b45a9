#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Starts a thread that runs `body` and that nobody waits for; false if the system has none.
func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
  let box = unsafe Unmanaged.passRetained(ThreadBody(body))
  let pointer = unsafe box.toOpaque()
  #if canImport(Darwin)
    var thread: pthread_t?
    let status = unsafe pthread_create(
      &thread, nil,
      {
        ThreadBody.run($0); return nil
      }, pointer)
    if let thread { unsafe pthread_detach(thread) }
  #else
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      {
        if let pointer = unsafe $0 { unsafe ThreadBody.run(pointer) }
        return nil
      }, pointer)
    if status == 0 { pthread_detach(thread) }
  #endif
  if status != 0 { unsafe box.release() }
  return status == 0
}

private final class ThreadBody: Sendable {
  private let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  static func run(_ pointer: UnsafeMutableRawPointer) {
    unsafe Unmanaged<ThreadBody>.fromOpaque(pointer).takeRetainedValue().body()
  }
}
