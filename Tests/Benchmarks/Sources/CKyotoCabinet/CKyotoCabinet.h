// Kyoto Cabinet's C interface, which the benchmarks compare with.
#include <kclangc.h>

// What a visitor returns to change nothing: Swift 6 refuses the library's global variable.
static inline const char *_Nullable benchmark_kyoto_no_change(void) { return KCVISNOP; }
static inline const char *_Nonnull benchmark_kyoto_version(void) { return KCVERSION; }
