// The GNU database library, which tests and benchmarks compare with. Nothing that the package's products consist of
// includes or links it.
#include <gdbm.h>
