// What the platform's Swift module lacks: calls and constants that need
// _GNU_SOURCE, variadic calls, CPU hints, and the signal handler. Every
// function that can fail returns -1 (or a null or failed pointer) and sets
// errno, like the system call that it makes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Asks the processor to load the cache line at `address`; never faults.
static inline void kvmap_prefetch(const void *_Nonnull address) {
  __builtin_prefetch(address, 0, 3);
}

// MARK: Files (system_calls.c)

/// Makes a file in memory that no file system has (memfd_create); ENOTSUP if the
/// platform cannot.
int kvmap_open_in_memory(const char *_Nonnull name);
/// Opens a file without a name in `directory` (O_TMPFILE).
int kvmap_open_unnamed(const char *_Nonnull directory, int flags, mode_t mode);
/// Backs a range with storage, extending the file (fallocate mode 0).
int kvmap_fallocate(int descriptor, int64_t offset, int64_t length);
/// Reserves `length` bytes after the end of the file (F_PREALLOCATE).
int kvmap_preallocate(int descriptor, int64_t length);
/// Backs a range with storage that reads as zeros, extending the file; ENOTSUP if the
/// platform cannot.
int kvmap_zero_range(int descriptor, int64_t offset, int64_t length);
/// Returns the storage of a range to the file system; the range reads as zeros. Keeps the size.
int kvmap_punch_hole(int descriptor, int64_t offset, int64_t length);
/// Makes a file share all blocks of another (FICLONE); ENOTSUP if the
/// platform cannot.
int kvmap_clone(int source, int target);
/// Sets whether an empty file is changed in new blocks or in place
/// (FS_NOCOW_FL); ENOTSUP if the platform cannot.
int kvmap_set_copy_on_write(int descriptor, bool copies);
/// The next byte at or after `offset` that is data (or a hole).
int64_t kvmap_seek_data(int descriptor, int64_t offset);
int64_t kvmap_seek_hole(int descriptor, int64_t offset);
/// Waits until the file is on stable storage, drive cache included.
int kvmap_full_sync(int descriptor);
/// As `kvmap_full_sync`, but may leave out metadata such as times.
int kvmap_data_sync(int descriptor);
/// Renames; with `replacing` false an existing target is EEXIST.
int kvmap_rename(const char *_Nonnull from, const char *_Nonnull to, bool replacing);

struct kvmap_file_system {
  /// The magic number of statfs(2); 0 if only the name is known.
  uint64_t magic;
  uint64_t total_bytes, available_bytes;
  bool is_read_only;
  /// Whether the platform calls it local: 1 local, 0 remote, -1 unknown.
  int is_local;
  char name[32];
};
int kvmap_fstatfs(int descriptor, struct kvmap_file_system *_Nonnull result);

// MARK: Locks of an open file description

enum { KVMAP_LOCK_TRY = 0, KVMAP_LOCK_WAIT = 1, KVMAP_LOCK_QUERY = 2 };
enum { KVMAP_LOCK_SHARED = 0, KVMAP_LOCK_EXCLUSIVE = 1, KVMAP_LOCK_NONE = 2 };
struct kvmap_lock {
  /// In: the mode asked for. Out of a query: the mode of the lock that excludes it, or NONE.
  int mode;
  int64_t offset, length;
};
int kvmap_lock(int descriptor, int command, struct kvmap_lock *_Nonnull lock);

// MARK: Memory

/// mremap(2) with MREMAP_MAYMOVE; ENOTSUP if the platform has none.
void *_Nullable kvmap_mremap(void *_Nonnull base, size_t length, size_t new_length);
/// mincore(2), whose result type differs between platforms.
int kvmap_mincore(void *_Nonnull base, size_t length, unsigned char *_Nonnull result);
/// mlock(2) and munlock(2), also in programs with a sanitizer.
int kvmap_mlock(const void *_Nonnull base, size_t length);
int kvmap_munlock(const void *_Nonnull base, size_t length);
/// Blocks while the 32-bit word is `expected`, `milliseconds` at most, also for other processes that
/// map the same file (FUTEX_WAIT); ENOTSUP if the platform cannot.
int kvmap_wait_on_word(const void *_Nonnull word, uint32_t expected, int milliseconds);
/// Wakes all that wait on the word (FUTEX_WAKE).
int kvmap_wake_word(const void *_Nonnull word);
/// Flags and advice values of the platform; 0 (flag) or -1 (advice) if it has none.
int kvmap_map_populate(void), kvmap_map_nonblock(void), kvmap_map_locked(void);
int kvmap_map_no_reserve(void), kvmap_map_32bit(void), kvmap_map_grows_down(void);
int kvmap_advice_free(void), kvmap_advice_cold(void), kvmap_advice_page_out(void);
int kvmap_advice_populate_read(void), kvmap_advice_populate_write(void);
int kvmap_advice_dont_fork(void), kvmap_advice_do_fork(void);
int kvmap_advice_wipe_on_fork(void), kvmap_advice_keep_on_fork(void);
/// The soft limit of locked memory in bytes; UINT64_MAX when unlimited.
uint64_t kvmap_locked_memory_limit(void);
/// The soft limits of address space and of private writable memory in bytes; UINT64_MAX when
/// unlimited.
uint64_t kvmap_address_space_limit(void);
uint64_t kvmap_data_limit(void);
/// The soft limit of open descriptors; UINT64_MAX when unlimited.
uint64_t kvmap_descriptor_limit(void);
/// The soft limit of a file's length in bytes; UINT64_MAX when unlimited.
uint64_t kvmap_file_size_limit(void);

// MARK: fork(2)

/// How many forks lie between this process and the first that asked: a value
/// noted earlier differs in a child. One load after the first call.
uint32_t kvmap_process_generation(void);
/// The first makes forked children close the descriptor at once; -1 if there is no memory to
/// note that. The second undoes this, before the descriptor is closed.
int kvmap_unshare_with_children(int descriptor);
void kvmap_share_with_children(int descriptor);

// MARK: Lost mappings (lost_mappings.c)

/// A range of addresses in which a SIGBUS marks the range as lost.
typedef struct kvmap_guard kvmap_guard;

/// Installs the SIGBUS handler, once per process.
int kvmap_guard_install(void);
/// Enters a range; null with errno when there is no memory for the entry.
/// `protection` is that of the page put under a fault.
/// `*lost` becomes 1 when the range is lost. Several ranges may share one word.
/// The word must outlive them all.
kvmap_guard *_Nullable kvmap_guard_create(
    const void *_Nonnull start, size_t length, int protection, uint32_t *_Nonnull lost);
/// Changes the range. A `start` of null suspends it.
void kvmap_guard_move(kvmap_guard *_Nonnull guard, const void *_Nullable start, size_t length);
void kvmap_guard_add_protection(kvmap_guard *_Nonnull guard, int protection);
void kvmap_guard_set_protection(kvmap_guard *_Nonnull guard, int protection);
/// Makes the range count in children too: part of it is inherited.
void kvmap_guard_inherit(kvmap_guard *_Nonnull guard);
void kvmap_guard_destroy(kvmap_guard *_Nonnull guard);
