// SQLite, which the benchmarks compare with.
#include <sqlite3.h>
