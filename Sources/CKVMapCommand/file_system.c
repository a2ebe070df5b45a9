// Which file system a path is on: Swift does not see statfs.

#include "CKVMapCommand.h"

#if defined(__linux__)
#include <sys/vfs.h>

uint32_t kvmap_file_system_type(const char *path) {
  struct statfs answer;
  return statfs(path, &answer) == 0 ? (uint32_t)answer.f_type : 0;
}
#else
uint32_t kvmap_file_system_type(const char *path) {
  (void)path;
  return 0;
}
#endif
