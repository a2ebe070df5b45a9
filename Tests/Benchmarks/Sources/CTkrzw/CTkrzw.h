// Tkrzw's C interface, which the benchmarks compare with.
#include <tkrzw_langc.h>

// What a record processor returns to change nothing: Swift 6 refuses the library's global variable.
static inline const char *_Nullable benchmark_tkrzw_no_change(void) { return TKRZW_REC_PROC_NOOP; }
static inline const char *_Nonnull benchmark_tkrzw_version(void) { return TKRZW_PACKAGE_VERSION; }
