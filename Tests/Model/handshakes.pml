/*
 * How a writer that wants to rewrite a page and a reader that may be looking at it take
 * notice of each other without waiting: the pin floor and the pins, by locks and in reader
 * slots, the reader gate, the generation. (ReuseRule.swift, ProcessPins.swift,
 * ReaderSlots.swift, ReaderGate.swift, StoreCore+Read.swift)
 *
 * Stores go through a store buffer, as on x86: they are seen by others some time later, in
 * their order, while the loads that follow are done at once. A fence waits until the
 * buffer is empty. Loads are done in their order; the one place where the source asks for
 * that by a fence (between a reader's look and its second look at the generation) is
 * modelled by letting the load come early.
 *
 * One of the four readers is chosen: -DPINNED, -DANNOUNCED, -DLOCAL, -DREMOTE. One -D of the mutants
 * named in `check` takes a fence or a check out.
 */

#ifndef ROUNDS
#define ROUNDS 4        /* checkpoints of the writer */
#endif
#ifndef DEPTH
#define DEPTH 6         /* of a store buffer */
#endif
#define PAGES 3
#define TORN 0          /* what a page holds while it is rewritten */
#define NEVER 0         /* epoch of release of a page that was never used */
#define NOBODY 255

/* Memory that all see. A page holds the number of its last change. */
byte epoch = 1, generation, durableEpoch, root, pinFloor;
byte page[PAGES];
byte parity, inside[2];         /* the reader gate: parity, readers counted under each */
bool pinned[ROUNDS + 2];        /* locks on epochs: the kernel's, seen at once */
byte announced;                 /* the epoch in a reader slot, 0 for none */
bool isTaken;                   /* the lock of that slot: the kernel's */

/* ---- Store buffers ---- */

#define WRITER 0
#define READER 1
mtype = { EPOCH, GENERATION, DURABLE, ROOT, FLOOR, PARITY, INSIDE, PAGE, ANNOUNCE };
chan buffer[2] = [DEPTH] of { mtype, byte, byte };

inline store(who, word, index, value) { buffer[who]!word, index, value }
inline fence(who) { empty(buffer[who]) }

proctype Drain(byte who) {
  mtype word; byte index, value;
end: do
  :: atomic {
      buffer[who]?word, index, value ->
      if
      :: word == EPOCH -> epoch = value
      :: word == GENERATION -> generation = value
      :: word == DURABLE -> durableEpoch = value
      :: word == ROOT -> root = value
      :: word == FLOOR -> pinFloor = value
      :: word == PARITY -> parity = value
      :: word == INSIDE -> inside[index] = value
      :: word == PAGE -> page[index] = value
      :: word == ANNOUNCE -> announced = value
      fi;
      index = 0; value = 0; word = 0
    }
  od
}

/* ---- The writer, with the turn ---- */

/* What it stored itself it knows; others change none of it. */
byte released[PAGES];           /* in which epoch */
byte working = 1, current, version = 1, durable;

/* ReuseRule: all that was released up to `limit` may be used; a higher one waits. */
byte limit, waitingLimit, waitingParity = NOBODY, ownParity;

inline lookForPins() {
  /* The lowest epoch that is pinned; one system call each, but no fence. */
  atomic {
    lowest = 0;
    do
    :: lowest < ROUNDS + 2 && !pinned[lowest] -> lowest++
    :: else -> break
    od
  };
#if defined(ANNOUNCED) && !defined(NO_LOOK_AT_SLOTS)
  /* A load, and then a system call: whether the process that has the slot still lives. */
  seen = announced;
  if
  :: seen != 0 && seen < lowest && isTaken -> lowest = seen
  :: else
  fi;
  seen = 0
#endif
}

inline storeFloor() {
  store(WRITER, FLOOR, 0, candidate + 1);
#ifndef NO_FLOOR_FENCE
  fence(WRITER)
#endif
}

/* ReuseRule.refresh */
inline refresh() {
  if
  :: waitingParity != NOBODY ->
    if
    :: inside[waitingParity] == 0 -> limit = waitingLimit; waitingParity = NOBODY
    :: else -> goto refreshed
    fi
  :: else
  fi;
  if :: durable <= limit -> goto refreshed :: else fi;
#ifndef FLIPS_OVER_READERS
  /* Who entered before a wait that was forgotten is in the set that would be flipped to. */
  if :: inside[1 - ownParity] != 0 -> goto refreshed :: else fi;
#endif
  candidate = durable;
#ifdef PINS_BEFORE_FLOOR
  lookForPins();
  storeFloor();
#else
  storeFloor();
  lookForPins();
#endif
  if
  :: lowest <= candidate ->
    candidate = lowest - 1;
#ifdef FLOOR_FALLS
    storeFloor()
#endif
  :: else
  fi;
  if :: candidate <= limit -> goto refreshed :: else fi;
#ifdef NO_GATE
  limit = candidate;
#else
  /* ReaderGate.flip, isEmpty */
  ownParity = 1 - ownParity;
  store(WRITER, PARITY, 0, ownParity);
#ifndef NO_FLIP_FENCE
  fence(WRITER);
#endif
  if
  :: inside[1 - ownParity] == 0 -> limit = candidate
  :: else -> waitingLimit = candidate; waitingParity = 1 - ownParity
  fi;
#endif
refreshed: skip
}

inline change() {
  atomic {
    free = 0;
    do
    :: free < PAGES && (free == current || released[free] > limit) -> free++
    :: else -> break
    od
  }
  if
  :: free < PAGES ->
    store(WRITER, PAGE, free, TORN);
    version++;
    store(WRITER, PAGE, free, version);
    store(WRITER, ROOT, 0, free);
    atomic { released[current] = working; current = free; free = 0 }
  :: else -> free = 0
  fi
}

/* What others see of a checkpoint. Its syncs are system calls, but no fences. */
inline checkpoint() {
  working++;
  store(WRITER, EPOCH, 0, working);
  store(WRITER, GENERATION, 0, working);
  durable = working - 1;
  store(WRITER, DURABLE, 0, durable)
}

proctype Writer() {
  byte candidate, lowest, free, round, seen;
  bool hasForgotten;
  do
  :: round < ROUNDS ->
    round++;
    change();
    checkpoint();
    refresh();
    candidate = 0; lowest = 0;
    if
    :: true
#ifndef NEVER_FORGETS
    :: !hasForgotten ->
      /* Another process has recovered: what was found out is forgotten. */
      atomic { hasForgotten = true; limit = 0; waitingParity = NOBODY; waitingLimit = 0 }
#endif
    fi
  :: else -> break
  od
}

/* ---- Readers ---- */

#ifdef PINNED
/*
 * Pins an epoch and looks twice: at the same, and at nothing that is being rewritten. What
 * a pin promises is that nothing is rewritten that was current in its epoch or later: so
 * the root may as well have been noted before the pin, if after the epoch.
 */
proctype Reader() {
  byte mine, seen, place, floor, times;
  bool isNoted;
  do
  :: times < 2 ->
    times++;
again:
    mine = epoch;
    if
    :: isNoted = true; place = root
    :: isNoted = false
    fi;
#ifdef FLOOR_BEFORE_PIN
    floor = pinFloor;
    pinned[mine] = true;
#else
    pinned[mine] = true;
    floor = pinFloor;
#endif
#ifndef NO_LOOK_AT_FLOOR
    if
    :: floor > mine -> pinned[mine] = false; goto again
    :: else
    fi;
#endif
    if
    :: isNoted
    :: else -> place = root
    fi;
    seen = page[place];
    assert(seen != TORN);
    assert(page[place] == seen);
    atomic { pinned[mine] = false; mine = 0; seen = 0; place = 0; floor = 0; isNoted = false }
  :: else -> break
  od
}
#endif

#ifdef ANNOUNCED
/*
 * As the one before, but says which epoch it pins in a slot. The announcement is one atomic
 * step, so no later load comes before it. The process may die at any time; another takes the
 * slot, and clears what is left in it.
 */
inline mayDie() { if :: true :: true -> goto dead fi }

proctype Reader() {
  byte mine, seen, place, floor, times;
  bool isNoted;
dead:
  atomic { isTaken = false; mine = 0; seen = 0; place = 0; floor = 0; isNoted = false; times++ }
  do
  :: times < 4 ->
    times++;
    if :: !isTaken -> isTaken = true; announced = 0 :: else fi;
again:
    mine = epoch;
    if
    :: isNoted = true; place = root
    :: isNoted = false
    fi;
#ifdef FLOOR_BEFORE_PIN
    floor = pinFloor;
    announced = mine;
#else
#ifdef NO_ANNOUNCEMENT_FENCE
    store(READER, ANNOUNCE, 0, mine);
#else
    announced = mine;
#endif
    mayDie();
    floor = pinFloor;
#endif
#ifndef NO_LOOK_AT_FLOOR
    if
    :: floor > mine -> fence(READER); announced = 0; goto again
    :: else
    fi;
#endif
    if
    :: isNoted
    :: else -> place = root
    fi;
    seen = page[place];
    assert(seen != TORN);
    mayDie();
    assert(page[place] == seen);
    fence(READER);
    atomic { announced = 0; mine = 0; seen = 0; place = 0; floor = 0; isNoted = false }
  :: else -> break
  od
}
#endif

#ifdef LOCAL
/* A thread of the writer's process: counted while it looks, and looks once. */
proctype Reader() {
  byte mine, seen, place, times;
  do
  :: times < 3 ->
    times++;
again:
    mine = parity;
#ifdef NO_ENTER_FENCE
    store(READER, INSIDE, mine, 1);
#else
    inside[mine] = 1;
#endif
#ifndef NO_SECOND_LOOK_AT_PARITY
    if
    :: parity != mine ->
      store(READER, INSIDE, mine, 0);
      fence(READER);
      goto again
    :: else
    fi;
#endif
    place = root;
    seen = page[place];
    assert(seen != TORN);
    assert(page[place] == seen);
    store(READER, INSIDE, mine, 0);
    /* It is one thread's counter: the next call's increment is an atomic one. */
    fence(READER);
    atomic { mine = 0; seen = 0; place = 0 }
  :: else -> break
  od
}
#endif

#ifdef REMOTE
/* A reader of another process: looks, and looks at the generation again. */
proctype Reader() {
  byte before, after, first, second, place, least, times;
  do
  :: times < 2 ->
again:
    atomic { least = page[root]; before = generation; times++ }
    place = root;
    first = page[place];
#ifdef NO_ACQUIRE_FENCE
    after = generation;
    second = page[place];
#else
    second = page[place];
    after = generation;
#endif
#ifndef NO_LOOK_AT_GENERATION
    if
    :: before != after -> goto next
    :: else
    fi;
#endif
    /* It returns what it saw: one version, and none older than when it was called. */
    assert(first != TORN && first == second && first >= least);
next:
    atomic { before = 0; after = 0; first = 0; second = 0; place = 0; least = 0 }
  :: else -> break
  od
}
#endif

init {
  atomic {
    page[0] = 1;
    run Drain(WRITER);
#if defined(LOCAL) || defined(ANNOUNCED)
    run Drain(READER);
#endif
    run Writer();
    run Reader()
  }
}
