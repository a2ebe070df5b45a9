import CMappedMemory

/// The memory limits of this process, for messages.
package enum MemoryLimits {
  /// What to do when the system refuses memory or address space.
  package static var advice: String {
    let (space, data) = (kvmap_address_space_limit(), kvmap_data_limit())
    var limits: [String] = []
    if space != .max { limits.append("address space, now \(space) bytes (ulimit -v)") }
    if data != .max { limits.append("private memory, now \(data) bytes (ulimit -d)") }
    if limits.isEmpty { return "free memory" }
    return "free memory, or raise the limits of this process: \(limits.joined(separator: " and "))"
  }
}
