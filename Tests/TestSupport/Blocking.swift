/// Runs `body`, in which calls of a store are those that block, although it is called in
/// asynchronous code: there, the compiler takes those that suspend.
public func blocking<R>(_ body: () throws -> R) rethrows -> R { try body() }
