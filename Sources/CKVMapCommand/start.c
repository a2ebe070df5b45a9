// What has to be done before the Swift runtime initialises itself.

#include "CKVMapCommand.h"

#include <stdlib.h>

static char **arguments;

char **kvmap_arguments(void) { return arguments; }

extern char **environ;

char **kvmap_environment(void) { return environ; }

#if defined(__GLIBC__)
#include <sys/auxv.h>

// glibc passes constructors what it passes main. Those of lower numbers run first; up to 100 are its own.
__attribute__((constructor(101))) static void start(int count, char **vector) {
  (void)count;
  arguments = vector;
  // A static executable has no interpreter. In one, the runtime ends the process if it cannot find out its path,
  // for which it needs /proc; and what it looks for there is a program that describes crashes, and that it would
  // run if it lay beside this one.
  if (getauxval(AT_BASE) == 0) putenv("SWIFT_BACKTRACE=enable=no,swift-backtrace=none");
}
#endif
