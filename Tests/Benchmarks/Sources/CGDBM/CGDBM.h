// The GNU database library, which the benchmarks compare with.
#include <gdbm.h>
