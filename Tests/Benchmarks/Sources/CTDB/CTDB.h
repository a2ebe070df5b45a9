// Samba's trivial database, which the benchmarks compare with. Its header needs the ones before it.
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <tdb.h>
