#ifndef CKVMAPCOMMAND_H
#define CKVMAPCOMMAND_H

#include <stdint.h>

#if __has_feature(nullability)
#define KVMAP_NULLABLE _Nullable
#else
#define KVMAP_NULLABLE
#endif

/// The arguments that this process was started with, the program's name first, a null pointer at the end;
/// null if the platform does not tell.
///
/// Swift finds them in /proc, which need not be mounted.
char *KVMAP_NULLABLE *KVMAP_NULLABLE kvmap_arguments(void);

/// The environment of this process, a null pointer at the end. Swift may not read `environ`, which any thread may
/// change.
char *KVMAP_NULLABLE *KVMAP_NULLABLE kvmap_environment(void);

/// The number of the file system that `path` is on, of <linux/magic.h>; 0 if the platform does not tell.
uint32_t kvmap_file_system_type(const char *KVMAP_NULLABLE path);

#endif
