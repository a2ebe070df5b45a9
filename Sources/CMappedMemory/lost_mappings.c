// The SIGBUS handler for pages of a mapped file that have no storage:
// truncated file, full disk, I/O error.
//
// It is in C because a signal handler may interrupt a thread anywhere, also
// inside the allocator or the Swift runtime, and compiled Swift promises nothing
// about what it calls: lazy globals, metadata lookups and exclusivity checks
// may take locks or allocate. This code calls mmap, sigaction and raise, and
// uses atomics; none of them allocates or locks.
//
// Each range has a slot. Only its owner enters, changes and removes it; handlers
// on any thread read it. A slot's `sequence` is odd while it changes, so a
// handler never combines the start of one range with the end of another. A
// handler may skip a slot that is changing: it is not the slot of the range that
// faulted, whose owner is inside an access to that range.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CMappedMemory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#if defined(__APPLE__) && !defined(MAP_ANONYMOUS)
#define MAP_ANONYMOUS MAP_ANON
#endif

// A fault may happen in the runtime of a sanitizer, which makes atomic stores for the
// program and holds a lock during them. So the handler must not call that runtime.
#if __has_attribute(disable_sanitizer_instrumentation)
#define IN_HANDLER __attribute__((disable_sanitizer_instrumentation))
#else
#define IN_HANDLER
#endif

struct kvmap_guard {
  /// Points to the word that becomes 1 when the range is lost; it outlives the guard.
  alignas(64) uint32_t *_Atomic lost;
  _Atomic uint32_t taken, sequence;
  /// Faults since the range was entered.
  _Atomic uint32_t faults;
  _Atomic int protection;
  /// The process the range belongs to; 0 if it belongs to its children as well.
  _Atomic uint32_t generation;
  _Atomic uintptr_t start, end;
};

// Slots lie in chunks of a page that are never freed, so a handler may walk
// them at any time: 63 static slots, then as many more as there is memory for.
enum { slots_per_chunk = 63, single_pages = 64 };
struct chunk {
  struct kvmap_guard slots[slots_per_chunk];
  alignas(64) _Atomic(struct chunk *) next;
};

_Static_assert(sizeof(struct chunk) == 4096, "a chunk fills a page");

static struct chunk first_chunk;
static size_t page_size;
static struct sigaction previous_action;
static _Atomic int previous_is_default;

// The handler reads it directly: a signal handler may not call pthread_once.
static _Atomic uint32_t process_generation = 1;
static pthread_once_t watch_forks_once = PTHREAD_ONCE_INIT;

// Descriptors that forked children close.
static pthread_mutex_t unshared_lock = PTHREAD_MUTEX_INITIALIZER;
static int *unshared;
static size_t unshared_count, unshared_capacity;

static void before_fork(void) { pthread_mutex_lock(&unshared_lock); }
static void after_fork(void) { pthread_mutex_unlock(&unshared_lock); }
static void forked(void) {
  for (size_t index = 0; index < unshared_count; index++) close(unshared[index]);
  unshared_count = 0;
  pthread_mutex_unlock(&unshared_lock);
  atomic_fetch_add_explicit(&process_generation, 1, memory_order_relaxed);
}
static void watch_forks(void) { pthread_atfork(before_fork, after_fork, forked); }

int kvmap_unshare_with_children(int descriptor) {
  pthread_once(&watch_forks_once, watch_forks);
  pthread_mutex_lock(&unshared_lock);
  int result = 0;
  if (unshared_count == unshared_capacity) {
    size_t capacity = unshared_capacity * 2 + 16;
    int *larger = realloc(unshared, capacity * sizeof *larger);
    if (larger == NULL) {
      result = -1;
    } else {
      unshared = larger;
      unshared_capacity = capacity;
    }
  }
  if (result == 0) unshared[unshared_count++] = descriptor;
  pthread_mutex_unlock(&unshared_lock);
  return result;
}

void kvmap_share_with_children(int descriptor) {
  pthread_mutex_lock(&unshared_lock);
  for (size_t index = 0; index < unshared_count; index++) {
    if (unshared[index] != descriptor) continue;
    unshared[index] = unshared[--unshared_count];
    break;
  }
  pthread_mutex_unlock(&unshared_lock);
}

uint32_t kvmap_process_generation(void) {
  pthread_once(&watch_forks_once, watch_forks);
  return atomic_load_explicit(&process_generation, memory_order_relaxed);
}

IN_HANDLER static bool put_zero_pages(uintptr_t start, uintptr_t end, int protection) {
  int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
#ifdef __linux__
  // Sanitizers intercept the function `mmap`.
  return syscall(SYS_mmap, start, end - start, protection, flags, -1, 0) != -1;
#else
  return mmap((void *)start, end - start, protection, flags, -1, 0) != MAP_FAILED;
#endif
}

/// Puts zero pages under `address` if it lies in one of our ranges.
IN_HANDLER static bool cover(uintptr_t address) {
  uint32_t generation = atomic_load_explicit(&process_generation, memory_order_relaxed);
  for (struct chunk *chunk = &first_chunk; chunk != NULL;
       chunk = atomic_load_explicit(&chunk->next, memory_order_acquire)) {
    for (int index = 0; index < slots_per_chunk; index++) {
      struct kvmap_guard *slot = &chunk->slots[index];
      uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
      uintptr_t start = atomic_load_explicit(&slot->start, memory_order_relaxed);
      uintptr_t end = atomic_load_explicit(&slot->end, memory_order_relaxed);
      uint32_t owner = atomic_load_explicit(&slot->generation, memory_order_relaxed);
      atomic_thread_fence(memory_order_acquire);
      if ((sequence & 1) != 0 || atomic_load_explicit(&slot->sequence, memory_order_relaxed) != sequence) continue;
      if (address < start || address >= end || (owner != 0 && owner != generation)) continue;

      // First the mark, then the page: a thread that reads zeros from the page
      // and then the mark (with an acquire fence between) finds it set.
      uint32_t *lost = atomic_load_explicit(&slot->lost, memory_order_relaxed);
      atomic_store_explicit((_Atomic uint32_t *)lost, 1, memory_order_seq_cst);
      int protection = atomic_load_explicit(&slot->protection, memory_order_relaxed);
      uintptr_t page = address & ~(uintptr_t)(page_size - 1);
      uintptr_t mapped_end = (end + page_size - 1) & ~(uintptr_t)(page_size - 1);
      // Replacing one page leaves the rest of the file readable. But each
      // replacement splits a mapping of the kernel's, and the number of mappings
      // of a process is limited (at the limit, mmap refuses everything). So after
      // `single_pages` faults everything after the page is replaced with it.
      uintptr_t from[] = {page, page, start, page};
      uintptr_t to[] = {page + page_size, mapped_end, mapped_end, page + page_size};
      uint32_t faults = atomic_fetch_add_explicit(&slot->faults, 1, memory_order_relaxed);
      for (int attempt = faults < single_pages ? 0 : 1; attempt < 4; attempt++) {
        if (put_zero_pages(from[attempt], to[attempt], protection)) return true;
      }
      return false;
    }
  }
  return false;
}

/// Does what would have happened without this handler.
IN_HANDLER static void pass_on(int signal_number, siginfo_t *info, void *context) {
  bool is_fault = info->si_code > 0;
  bool is_default = atomic_load_explicit(&previous_is_default, memory_order_relaxed);
  if (!is_default && (previous_action.sa_flags & SA_RESETHAND) != 0)
    atomic_store_explicit(&previous_is_default, 1, memory_order_relaxed);
  if (!is_default && (previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal_number, info, context);
    return;
  }
  if (!is_default && previous_action.sa_handler == SIG_IGN && !is_fault) return;
  if (!is_default && previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(signal_number);
    return;
  }
  // A fault that is ignored still ends the process, as the kernel does it. The
  // faulting instruction runs again on return; a signal that was sent has to
  // be sent again.
  struct sigaction fallback = {.sa_handler = SIG_DFL};
  sigaction(signal_number, &fallback, NULL);
  if (!is_fault) raise(signal_number);
}

IN_HANDLER static void handle(int signal_number, siginfo_t *info, void *context) {
  int saved_errno = errno;
  // A misaligned access (BUS_ADRALN) is an error of the program.
  bool ours = info->si_code > 0 && info->si_code != BUS_ADRALN && cover((uintptr_t)info->si_addr);
  if (!ours) pass_on(signal_number, info, context);
  errno = saved_errno;
}

int kvmap_guard_install(void) {
  page_size = (size_t)sysconf(_SC_PAGESIZE);
  if (sigaction(SIGBUS, NULL, &previous_action) != 0) return -1;
  // The mask and the flags of the previous handler are kept, so that it runs
  // as it would have; the alternate stack is used where a thread has one.
  struct sigaction action = {.sa_flags = 0};
  action.sa_mask = previous_action.sa_mask;
  action.sa_flags =
      SA_SIGINFO | SA_ONSTACK | (previous_action.sa_flags & (SA_NODEFER | SA_RESTART));
  action.sa_sigaction = handle;
  return sigaction(SIGBUS, &action, NULL);
}

static void change(struct kvmap_guard *slot, uintptr_t start, uintptr_t end, uint32_t generation) {
  uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
  atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_relaxed);
  // Pairs with the acquire fence in `cover`: a handler that sees a new field sees
  // the odd sequence too.
  atomic_thread_fence(memory_order_release);
  atomic_store_explicit(&slot->start, start, memory_order_relaxed);
  atomic_store_explicit(&slot->end, end, memory_order_relaxed);
  atomic_store_explicit(&slot->generation, generation, memory_order_relaxed);
  // Pairs with the acquire load in `cover`.
  atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
}

static struct kvmap_guard *claim(void) {
  for (struct chunk *chunk = &first_chunk;;) {
    for (int index = 0; index < slots_per_chunk; index++) {
      uint32_t expected = 0;
      if (atomic_load_explicit(&chunk->slots[index].taken, memory_order_relaxed) != 0) continue;
      // Acquire pairs with the release in kvmap_guard_destroy.
      if (atomic_compare_exchange_strong_explicit(&chunk->slots[index].taken, &expected, 1,
                                                  memory_order_acquire, memory_order_relaxed))
        return &chunk->slots[index];
    }
    struct chunk *next = atomic_load_explicit(&chunk->next, memory_order_acquire);
    if (next == NULL) {
      struct chunk *fresh =
          mmap(NULL, sizeof *fresh, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (fresh == MAP_FAILED) return NULL;
      // Release: a thread that follows the pointer sees the fresh chunk's zeros.
      if (atomic_compare_exchange_strong_explicit(&chunk->next, &next, fresh, memory_order_acq_rel,
                                                  memory_order_acquire))
        next = fresh;
      else
        munmap(fresh, sizeof *fresh);
    }
    chunk = next;
  }
}

kvmap_guard *kvmap_guard_create(const void *start, size_t length, int protection, uint32_t *lost) {
  struct kvmap_guard *slot = claim();
  if (slot == NULL) return NULL;
  uint32_t generation = kvmap_process_generation();
  atomic_store_explicit(&slot->lost, lost, memory_order_relaxed);
  atomic_store_explicit(&slot->faults, 0, memory_order_relaxed);
  atomic_store_explicit(&slot->protection, protection, memory_order_relaxed);
  change(slot, (uintptr_t)start, (uintptr_t)start + length, generation);
  return slot;
}

void kvmap_guard_move(kvmap_guard *guard, const void *start, size_t length) {
  change(guard, (uintptr_t)start, start == NULL ? 0 : (uintptr_t)start + length,
         atomic_load_explicit(&guard->generation, memory_order_relaxed));
}

void kvmap_guard_add_protection(kvmap_guard *guard, int protection) {
  atomic_fetch_or_explicit(&guard->protection, protection, memory_order_relaxed);
}

void kvmap_guard_set_protection(kvmap_guard *guard, int protection) {
  atomic_store_explicit(&guard->protection, protection, memory_order_relaxed);
}

void kvmap_guard_inherit(kvmap_guard *guard) {
  atomic_store_explicit(&guard->generation, 0, memory_order_relaxed);
}

void kvmap_guard_destroy(kvmap_guard *guard) {
  change(guard, 0, 0, 0);
  atomic_store_explicit(&guard->taken, 0, memory_order_release);
}
