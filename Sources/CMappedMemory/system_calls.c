// These functions are out of line and in C because _GNU_SOURCE has to be set before
// the first system header, which a header imported by Swift as a module cannot do.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CMappedMemory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/mount.h>
#include <sys/param.h>
#else
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#endif

static int unsupported(void) {
  errno = ENOTSUP;
  return -1;
}

int kvmap_open_in_memory(const char *name) {
#if defined(SYS_memfd_create)
  return (int)syscall(SYS_memfd_create, name, 1 /* MFD_CLOEXEC */);
#else
  (void)name;
  return unsupported();
#endif
}

int kvmap_open_unnamed(const char *directory, int flags, mode_t mode) {
#if defined(O_TMPFILE)
  return open(directory, flags | O_TMPFILE, mode);
#else
  return unsupported();
#endif
}

int kvmap_fallocate(int descriptor, int64_t offset, int64_t length) {
#if defined(__linux__)
  return fallocate(descriptor, 0, offset, length);
#else
  return unsupported();
#endif
}

int kvmap_preallocate(int descriptor, int64_t length) {
#if defined(F_PREALLOCATE)
  fstore_t store = {
      .fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE, .fst_offset = 0, .fst_length = length};
  return fcntl(descriptor, F_PREALLOCATE, &store);
#else
  return unsupported();
#endif
}

int kvmap_zero_range(int descriptor, int64_t offset, int64_t length) {
#if defined(FALLOC_FL_ZERO_RANGE)
  return fallocate(descriptor, FALLOC_FL_ZERO_RANGE, offset, length);
#else
  (void)descriptor, (void)offset, (void)length;
  return unsupported();
#endif
}

int kvmap_punch_hole(int descriptor, int64_t offset, int64_t length) {
#if defined(F_PUNCHHOLE)
  fpunchhole_t hole = {.fp_flags = 0, .reserved = 0, .fp_offset = offset, .fp_length = length};
  return fcntl(descriptor, F_PUNCHHOLE, &hole);
#elif defined(FALLOC_FL_PUNCH_HOLE)
  return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
#else
  return unsupported();
#endif
}

int kvmap_clone(int source, int target) {
#if defined(FICLONE)
  return ioctl(target, FICLONE, source);
#else
  (void)source, (void)target;
  return unsupported();
#endif
}

int kvmap_set_copy_on_write(int descriptor, bool copies) {
#if defined(FS_IOC_SETFLAGS) && defined(FS_NOCOW_FL)
  int flags = 0;
  if (ioctl(descriptor, FS_IOC_GETFLAGS, &flags) != 0) return -1;
  int wanted = copies ? flags & ~FS_NOCOW_FL : flags | FS_NOCOW_FL;
  return wanted == flags ? 0 : ioctl(descriptor, FS_IOC_SETFLAGS, &wanted);
#else
  (void)descriptor, (void)copies;
  return unsupported();
#endif
}

int64_t kvmap_seek_data(int descriptor, int64_t offset) { return lseek(descriptor, offset, SEEK_DATA); }
int64_t kvmap_seek_hole(int descriptor, int64_t offset) { return lseek(descriptor, offset, SEEK_HOLE); }

int kvmap_full_sync(int descriptor) {
#if defined(F_FULLFSYNC)
  // fsync does not flush the drive's cache here; F_FULLFSYNC does, but not every
  // file system has it.
  if (fcntl(descriptor, F_FULLFSYNC) == 0) return 0;
  if (errno != ENOTSUP && errno != EINVAL && errno != ENOTTY) return -1;
#endif
  return fsync(descriptor);
}

int kvmap_data_sync(int descriptor) {
#if defined(__APPLE__)
  return kvmap_full_sync(descriptor);
#else
  return fdatasync(descriptor);
#endif
}

int kvmap_rename(const char *from, const char *to, bool replacing) {
  if (replacing) return renameat(AT_FDCWD, from, AT_FDCWD, to);
#if defined(__APPLE__)
  return renameatx_np(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCL);
#elif defined(SYS_renameat2)
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1 /* RENAME_NOREPLACE */);
#else
  return unsupported();
#endif
}

int kvmap_fstatfs(int descriptor, struct kvmap_file_system *result) {
  struct statfs status;
  if (fstatfs(descriptor, &status) != 0) return -1;
  memset(result, 0, sizeof *result);
  result->total_bytes = (uint64_t)status.f_blocks * (uint64_t)status.f_bsize;
  result->available_bytes = (uint64_t)status.f_bavail * (uint64_t)status.f_bsize;
#if defined(__APPLE__)
  result->is_read_only = (status.f_flags & MNT_RDONLY) != 0;
  result->is_local = (status.f_flags & MNT_LOCAL) != 0;
  snprintf(result->name, sizeof result->name, "%s", status.f_fstypename);
#else
  result->magic = (uint64_t)(uint32_t)status.f_type;
  result->is_read_only = (status.f_flags & 1 /* ST_RDONLY */) != 0;
  result->is_local = -1;
#endif
  return 0;
}

// Darwin has the same three commands under the same names, but declares them
// only for some feature levels; the numbers are those of its <sys/fcntl.h>.
#if defined(__APPLE__) && !defined(F_OFD_SETLK)
#define F_OFD_SETLK 90
#define F_OFD_SETLKW 91
#define F_OFD_GETLK 92
#endif

int kvmap_lock(int descriptor, int command, struct kvmap_lock *lock) {
  static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
  static const int commands[] = {F_OFD_SETLK, F_OFD_SETLKW, F_OFD_GETLK};
  // l_pid has to be 0 for these commands.
  struct flock request = {
      .l_type = types[lock->mode], .l_whence = SEEK_SET, .l_start = lock->offset, .l_len = lock->length};
  if (fcntl(descriptor, commands[command], &request) != 0) return -1;
  if (command == KVMAP_LOCK_QUERY) {
    lock->mode = request.l_type == F_UNLCK   ? KVMAP_LOCK_NONE
                 : request.l_type == F_RDLCK ? KVMAP_LOCK_SHARED
                                             : KVMAP_LOCK_EXCLUSIVE;
    lock->offset = request.l_start;
    lock->length = request.l_len;
  }
  return 0;
}

void *kvmap_mremap(void *base, size_t length, size_t new_length) {
#if defined(__linux__)
  return mremap(base, length, new_length, MREMAP_MAYMOVE);
#else
  unsupported();
  return MAP_FAILED;
#endif
}

int kvmap_mincore(void *base, size_t length, unsigned char *result) {
  return mincore(base, length, (void *)result);
}

// The sanitizers replace the C library's functions by functions that do nothing and
// succeed; the system call itself does lock the memory.
int kvmap_mlock(const void *base, size_t length) {
#if defined(SYS_mlock) && defined(__linux__)
  return (int)syscall(SYS_mlock, base, length);
#else
  return mlock(base, length);
#endif
}

int kvmap_munlock(const void *base, size_t length) {
#if defined(SYS_munlock) && defined(__linux__)
  return (int)syscall(SYS_munlock, base, length);
#else
  return munlock(base, length);
#endif
}

int kvmap_wait_on_word(const void *word, uint32_t expected, int milliseconds) {
#ifdef __linux__
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  return (int)syscall(SYS_futex, word, 0 /* FUTEX_WAIT */, expected, &time, NULL, 0);
#else
  errno = ENOTSUP;
  return -1;
#endif
}

int kvmap_wake_word(const void *word) {
#ifdef __linux__
  return (int)syscall(SYS_futex, word, 1 /* FUTEX_WAKE */, INT32_MAX, NULL, NULL, 0);
#else
  errno = ENOTSUP;
  return -1;
#endif
}

// A flag or advice that the platform's headers do not know.
#define FLAG(function, value) \
  int function(void) { return value; }
#if defined(__linux__)
FLAG(kvmap_map_populate, MAP_POPULATE)
FLAG(kvmap_map_nonblock, MAP_NONBLOCK)
FLAG(kvmap_map_locked, MAP_LOCKED)
FLAG(kvmap_map_grows_down, MAP_GROWSDOWN)
#if defined(MAP_32BIT)
FLAG(kvmap_map_32bit, MAP_32BIT)
#else
FLAG(kvmap_map_32bit, 0)
#endif
// Numbers of <linux/mman.h>, newer than some C libraries.
FLAG(kvmap_advice_cold, 20)
FLAG(kvmap_advice_page_out, 21)
FLAG(kvmap_advice_populate_read, 22)
FLAG(kvmap_advice_populate_write, 23)
FLAG(kvmap_advice_dont_fork, MADV_DONTFORK)
FLAG(kvmap_advice_do_fork, MADV_DOFORK)
FLAG(kvmap_advice_wipe_on_fork, 18)
FLAG(kvmap_advice_keep_on_fork, 19)
#else
FLAG(kvmap_map_populate, 0)
FLAG(kvmap_map_nonblock, 0)
FLAG(kvmap_map_locked, 0)
FLAG(kvmap_map_grows_down, 0)
FLAG(kvmap_map_32bit, 0)
FLAG(kvmap_advice_cold, -1)
FLAG(kvmap_advice_page_out, -1)
FLAG(kvmap_advice_populate_read, -1)
FLAG(kvmap_advice_populate_write, -1)
FLAG(kvmap_advice_dont_fork, -1)
FLAG(kvmap_advice_do_fork, -1)
FLAG(kvmap_advice_wipe_on_fork, -1)
FLAG(kvmap_advice_keep_on_fork, -1)
#endif
FLAG(kvmap_map_no_reserve, MAP_NORESERVE)
FLAG(kvmap_advice_free, MADV_FREE)
#undef FLAG

static uint64_t soft_limit(int resource) {
  struct rlimit limit;
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  return limit.rlim_cur;
}

uint64_t kvmap_locked_memory_limit(void) { return soft_limit(RLIMIT_MEMLOCK); }
uint64_t kvmap_address_space_limit(void) { return soft_limit(RLIMIT_AS); }
uint64_t kvmap_data_limit(void) { return soft_limit(RLIMIT_DATA); }
uint64_t kvmap_descriptor_limit(void) { return soft_limit(RLIMIT_NOFILE); }
uint64_t kvmap_file_size_limit(void) { return soft_limit(RLIMIT_FSIZE); }
