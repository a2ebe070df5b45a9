/*
 * Commits, checkpoints beside them, snapshots, readers and pins, processes that die at any
 * point and others that take over, and the power that fails at any point.
 * (Checkpoint.swift, Recovery.swift, StoreCore+WriteLock.swift, StoreCore+Read.swift,
 * ReuseRule.swift)
 *
 * The tree is one page. A page holds the number of commits it shows; a commit is a record
 * in the log (`tail` counts them) and a store into the page of the working tree. Memory is
 * sequentially consistent here: `handshakes.pml` is about store buffers.
 *
 * -DSNAPSHOT, -DREADER or -DPINNED choose who looks. One -D of the mutants named in
 * `check` takes a rule out.
 */

#ifndef TURNS
#define TURNS 3         /* turns of both writers together */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 2
#endif
#define PAGES 6
#define EPOCHS 12
#define TORN 0          /* a page that is being written; a superblock without a checksum */

/* ---- Pages ---- */

byte content[PAGES];    /* commits shown */
byte tag[PAGES];        /* epoch in which it was written */
bool sealed[PAGES];     /* its checksum is there */
bool dirty[PAGES];      /* memory and disk may differ */

/* ---- The shared state ---- */

byte root, epoch, sealedEpoch, durableEpoch, generation, quarantine, pinFloor, highWater;
bool busy;
byte tail;              /* commits in the log, which outlives every process */

/* The space table of the working tree: pages that are not its root are free. */
byte released[PAGES];   /* since which epoch */

/* ---- Superblocks ---- */

#define A 0
#define B 1
/* What a superblock of an epoch leads to. */
byte notedRoot[EPOCHS], notedContent[EPOCHS];
byte block[2];          /* the epoch of each in memory, or TORN */
byte diskBlock[2];      /* what surely was written last */
bool blockDirty[2];     /* the disk may have it, or what is in memory, or a mixture */

/* ---- Locks, which fall with their holder ---- */

byte T, C;              /* who has it; 0 for nobody */
byte pin[5];            /* the epoch that a process pins; 0 for none */
bool dead[5];
byte deaths, turns, checkpoints;

/* ---- What must hold at any time: the power may fail ---- */

#define INTACT(e) (e == TORN || \
  (content[notedRoot[e]] == notedContent[e] && sealed[notedRoot[e]] && !dirty[notedRoot[e]]))
#define SURE(s) (diskBlock[s] != TORN && !blockDirty[s])

/* Each superblock that may be on the disk leads to an intact tree, and one of them is. */
proctype PowerFails() {
end: do
  :: atomic {
      !(INTACT(diskBlock[A]) && INTACT(diskBlock[B]) && INTACT(block[A]) && INTACT(block[B])
        && (SURE(A) || SURE(B))) -> assert(false)
    }
  od
}

/* ---- Reuse ---- */

/* A page to write to: one that the reuse rule allows, or one behind all; PAGES for none. */
inline takePage(page, isRecovering) {
  d_step {
    limit = durableEpoch;
    if :: pinFloor < limit + 1 -> pinFloor = limit + 1 :: else fi;
#ifndef PINS_DO_NOT_COUNT
    i = 1;
    do
    :: i < 5 ->
      if :: pin[i] != 0 && pin[i] <= limit -> limit = pin[i] - 1 :: else fi;
      i++
    :: else -> break
    od;
#endif
    page = 0;
#ifdef EARLY_REUSE
    limit = epoch;
#endif
    do
    :: page < highWater && (page == root || released[page] > limit || quarantine > limit || isRecovering) ->
      page++
    :: else -> break
    od;
    if :: page == highWater && highWater < PAGES -> highWater++
       :: page == highWater && highWater == PAGES -> page = PAGES
       :: else
    fi;
    limit = 0; i = 0
  }
}

inline seal(page) {
  d_step {
    if :: !sealed[page] -> sealed[page] = true; dirty[page] = true :: else fi
  }
}

/* Copies the root to `q` and lets the old page go. */
inline replaceRoot() {
  d_step { content[q] = TORN; sealed[q] = false; dirty[q] = true };
  d_step { content[q] = content[root]; tag[q] = epoch };
#ifndef NO_SEAL_ON_DROP
#ifdef SEALS_FROZEN_ONLY
  if :: tag[root] > sealedEpoch && tag[root] < epoch -> seal(root) :: else fi;
#else
  if :: tag[root] > sealedEpoch -> seal(root) :: else fi;
#endif
#endif
  d_step { released[root] = epoch; root = q; q = 0 }
}

/* ---- Turns ---- */

inline takeTurn() {
  atomic { T == 0 -> T = me };
#ifndef NO_TAKEOVER
  if :: busy -> takeOver() :: else fi;
#endif
  /* The index shows the log. */
  assert(content[root] == tail);
  busy = true
}

inline returnTurn() {
  atomic { busy = false; T = 0 }
}

/* In a turn: one more record, and the page that shows it. */
inline commit() {
  q = 0;
  if
#ifdef WRITES_IN_PLACE
  :: false
#else
  :: tag[root] != epoch -> takePage(q, false); if :: q < PAGES -> replaceRoot() :: else fi
#endif
  :: else ->
    /* A split or a merge replaces a page of the working epoch. */
    if
    :: true -> takePage(q, false); if :: q < PAGES -> replaceRoot() :: else fi
    :: true
    fi
  fi;
  if
  :: q < PAGES ->
    tail++;
    d_step { content[root] = tail; sealed[root] = false; dirty[root] = true }
  :: else
  fi;
  q = 0
}

/* ---- Checkpoints ---- */

inline syncFile() {
  d_step {
    i = 0;
    do :: i < PAGES -> dirty[i] = false; i++ :: else -> break od;
    i = 0;
    diskBlock[A] = block[A]; blockDirty[A] = false;
    diskBlock[B] = block[B]; blockDirty[B] = false
  }
}

inline writeBlock(s, e) {
  if
  :: block[s] != e ->
    d_step { block[s] = TORN; blockDirty[s] = true };
    block[s] = e
  :: else
  fi
}

inline syncBlock(s) {
  d_step { diskBlock[s] = block[s]; blockDirty[s] = false }
}

/* Which one to write first: never the only one that is whole, or that counts. */
inline chooseFirst() {
#ifdef A_ALWAYS_FIRST
  first = A
#else
  first = (block[A] > block[B] -> B : A)
#endif
}

inline writeBlocks(e) {
  chooseFirst();
  writeBlock(first, e);
#ifndef NO_SYNC_BETWEEN
  syncBlock(first);
#endif
  writeBlock(1 - first, e);
#ifndef NO_SYNC_AFTER
  syncBlock(1 - first);
#endif
  syncBlock(first);
  first = 0
}

/* Begins in a turn, which it gives back, and goes on beside others' turns. */
inline checkpoint() {
  if
  :: atomic { C == 0 -> C = me };
    d_step {
      e = epoch; notedRoot[e] = root; notedContent[e] = content[root];
#ifndef NO_NEW_EPOCH
      epoch = e + 1
#endif
    };
    returnTurn();
#ifdef REUSE_BEFORE_RECORD
    generation++; durableEpoch = e;
#endif
#ifndef NO_SEAL
    seal(notedRoot[e]);
#endif
    sealedEpoch = e;
#ifndef NO_SYNC_BEFORE
    syncFile();
#endif
    writeBlocks(e);
#ifndef REUSE_BEFORE_RECORD
#ifdef GENERATION_LATE
    durableEpoch = e;
    generation++;
#else
#ifndef NO_GENERATION
    generation++;
#endif
    durableEpoch = e;
#endif
#endif
#ifdef WAITS_FOR_TURN
    atomic { T == 0 -> T = me }; T = 0;
#endif
    atomic { C = 0; e = 0 }
  :: C != 0 -> returnTurn()
  fi
}

/* ---- Takeover ---- */

/* In a turn whose last holder died in it. */
inline takeOver() {
#ifndef DOES_NOT_WAIT_FOR_C
  /* A checkpoint beside may be changing the superblocks. */
  C == 0;
#endif
  d_step { e = (block[A] > block[B] -> block[A] : block[B]) };
  if :: block[A] != block[B] -> writeBlocks(e) :: else fi;
  if
  :: notedContent[e] == tail -> newRoot = notedRoot[e]
  :: else ->
    takePage(newRoot, true);
#ifdef TAKEOVER_REUSES
    /* The superblock's space table calls this one free. */
    if :: root != notedRoot[e] -> newRoot = root :: else fi;
#endif
    /* Budgets see to it that there is one. */
    assert(newRoot < PAGES);
    d_step { content[newRoot] = TORN; sealed[newRoot] = false; dirty[newRoot] = true };
    d_step { content[newRoot] = tail; tag[newRoot] = epoch + 1 }
  fi;
#ifndef TAKEOVER_SEALS_NOTHING
  /* Nobody else will, and who pinned may look at it for long. */
  if :: tag[root] > sealedEpoch -> seal(root) :: else fi;
#endif
  /* Publish: any mixture of old and new words reads the old tree rightly. */
  d_step {
    i = 0;
    do :: i < PAGES -> released[i] = 0; i++ :: else -> break od;
    i = 0;
    if :: newRoot != notedRoot[e] -> released[notedRoot[e]] = epoch + 1 :: else fi
  };
#ifdef NO_QUARANTINE
  quarantine = 0;
#else
#ifdef QUARANTINE_TOO_LOW
  quarantine = epoch;
#else
  quarantine = epoch + 1;
#endif
#endif
#ifdef EPOCH_FALLS_BACK
  epoch = e + 1;
#else
  epoch = epoch + 1;
#endif
  sealedEpoch = e;
  durableEpoch = e;
  root = newRoot;
  generation++;
  d_step { newRoot = 0; e = 0 };
  busy = false
}

/* ---- Processes ---- */

#define LOCALS byte q, e, first, newRoot, limit, i

inline die() {
  d_step {
    if :: T == me -> T = 0 :: else fi;
    if :: C == me -> C = 0 :: else fi;
    pin[me] = 0;
    q = 0; e = 0; first = 0; newRoot = 0; limit = 0; i = 0
  }
}

proctype Writer(byte me) {
  LOCALS;
  {
    do
    :: atomic { turns < TURNS -> turns++ };
      takeTurn();
      if
      :: commit(); returnTurn()
      :: atomic { checkpoints < CHECKPOINTS -> checkpoints++ }; checkpoint()
      fi
    :: turns == TURNS -> break
    od
  } unless { dead[me] };
  die()
}

/* What reading a page for the first time finds: its checksum counts once it is sealed. */
#define LOOKS_DAMAGED(p) (!(tag[p] > sealedEpoch && tag[p] <= epoch) && !sealed[p])

#ifdef SNAPSHOT
/* Freezes the state in a turn, and looks at it for as long as it likes. */
proctype Looker(byte me) {
  LOCALS;
  byte place, seen, times;
  {
    takeTurn();
    d_step {
      place = root; seen = content[place];
#ifndef NO_PIN
#ifdef PINS_THE_NEXT
      pin[me] = epoch + 2;
#else
      pin[me] = epoch + 1;
#endif
#endif
#ifndef SNAPSHOT_KEEPS_EPOCH
      epoch = epoch + 1
#endif
    };
    returnTurn();
    do
    :: times < 2 ->
      times++;
      d_step {
        assert(content[place] == seen);
        assert(!LOOKS_DAMAGED(place))
      }
    :: else -> break
    od
  } unless { dead[me] };
  die()
}
#endif

#ifdef READER
/* Looks, without a lock, and looks at the generation again. */
proctype Looker(byte me) {
  byte place, seen, before, least, times;
  bool isDamaged;
  do
  :: times < 2 ->
    d_step { times++; least = content[root]; before = generation };
    place = root;
    isDamaged = LOOKS_DAMAGED(place);
    seen = content[place];
    d_step {
#ifndef NO_LOOK_AT_GENERATION
      if
      :: generation == before ->
#else
      if
      :: true ->
#endif
        assert(!isDamaged);
        assert(seen != TORN && seen >= least && seen <= tail)
      :: else
      fi;
      place = 0; seen = 0; before = 0; least = 0; isDamaged = false
    }
  :: else -> break
  od
}
#endif

#ifdef PINNED
/* Pins the epoch and looks more than once, without a second look at the generation. */
proctype Looker(byte me) {
  byte place, seen, mine, times;
  mine = epoch;
  if
  :: d_step { pinFloor <= mine -> pin[me] = mine };
    place = root;
    seen = content[place];
    do
    :: times < 2 ->
      times++;
      d_step {
        assert(!LOOKS_DAMAGED(place));
        assert(content[place] != TORN && content[place] >= seen);
        seen = content[place]
      }
    :: else -> break
    od;
    pin[me] = 0
  :: pinFloor > mine
  fi
}
#endif

/* Kills who has a lock; others' death would change nothing. */
proctype Killer() {
end: do
  :: atomic { deaths < DEATHS && T != 0 && !dead[T] -> deaths++; dead[T] = true }
  :: atomic { deaths < DEATHS && C != 0 && !dead[C] -> deaths++; dead[C] = true }
  od
}

init {
  atomic {
    content[0] = 1; tag[0] = 1; sealed[0] = true; highWater = 1; tail = 1;
    notedRoot[1] = 0; notedContent[1] = 1;
    block[A] = 1; block[B] = 1; diskBlock[A] = 1; diskBlock[B] = 1;
    epoch = 2; sealedEpoch = 1; durableEpoch = 1;
    run PowerFails(); run Writer(1); run Writer(2); run Killer();
#if defined(SNAPSHOT) || defined(READER) || defined(PINNED)
    run Looker(3)
#endif
  }
}
