// LMDB, which the benchmarks compare with.
#include <lmdb.h>
