import CMappedMemory

/// The limits of this process's memory, for messages.
package enum MemoryLimits {
  /// What to do when memory or address space cannot be had.
  package static var advice: String {
    let (space, data) = (kvmap_address_space_limit(), kvmap_data_limit())
    var limits: [String] = []
    if space != .max { limits.append("address space to \(space) bytes (ulimit -v)") }
    if data != .max { limits.append("private memory to \(data) bytes (ulimit -d)") }
    if limits.isEmpty { return "free memory" }
    return "free memory, or raise the limits of this process, \(limits.joined(separator: " and "))"
  }
}
