/*
 * How a handle keeps the lock among handles between its turns, and lets others have it: the
 * mutex, the lock on the file, the mark of those who want it, the keeper, and what a handle
 * remembers from one turn to the next. (WriteLock.swift, KeptLock.swift,
 * StoreCore+WriteLock.swift; the words writeLockWanted and writeLockGrants)
 *
 * Each handle is a process of its own, and ends at once: its locks fall, its memory is gone.
 * Memory is sequentially consistent. Steps are joined if nobody else can tell. An attempt or a
 * look that would change nothing is left out, so that a run in which nobody can go on stops.
 *
 * One of three is chosen:
 *
 * HANDLES: three handles. One may die.
 * THREADS: a handle with two threads, which make groups of commits and may close it, and with a
 *   reader that takes the mutex; and another handle. The first may die.
 * WAITING: two handles, which write for as long as they like. One may die, or be stopped by a
 *   signal, for a while or for ever. Does the other one get the lock? A turn is one step here.
 *
 * One -D of the mutants named in `check` takes a rule out.
 */

#ifdef HANDLES
#define COUNT 3         /* handles */
#else
#define COUNT 2
#endif
#ifdef WAITING
#define MORTAL 2        /* the handle whose process may die, or be stopped */
#define MAY_BE_STOPPED provided (!isStopped || !isOfMortal[_pid])
#else
#define MORTAL 1        /* the one whose process may die */
#define MAY_BE_STOPPED
#endif
#ifndef TURNS
#define TURNS 4         /* of all threads together; in WAITING there is no limit */
#endif
/* How often a change fails halfway in a process that lives on, a call waits no longer for the
   lock, the system has no thread for a keeper. */
#ifdef HANDLES
#define FAILURES 1
#define TIMEOUTS 1
#define REFUSALS 0
#endif
#ifdef THREADS
#define FAILURES 0
#define TIMEOUTS 0
#define REFUSALS 1
#endif
#ifdef WAITING
#define FAILURES 0
#define TIMEOUTS 1
#define REFUSALS 1
#endif
#define MANY 2          /* turns in a window that make a handle keep the lock */

/* ---- What all see ---- */

byte T;                 /* who has the lock among handles, 0 for nobody: the kernel's */
bool isWanted, busy;
byte recoveries = 1;

/* ---- The memory of each process ---- */

typedef Handle {
  bool mutex, isClosed;
  byte waiting;         /* threads that wait for the mutex */
  bool group;           /* there is an open group of commits */
  bool isHeld;
  /* KeptLock; whether the number of grants when it gave the lock away is not nil, and whether
     there has been a grant since. */
  bool isKept, wantedSince, hasGiven, isGranted;
  byte windowTurns;
  /* LockKeeper; whether its thread is to begin. */
  bool lock, isStarted, isWatching, isStopped, begins;
  /* What it remembers. */
  bool knowsLeaves;
  byte knownRecoveries;
  /* What it may not know: leaves have moved, or a recovery has replaced the tree. */
  bool leavesMoved, treeReplaced;
  bool isChanging;      /* a thread of it is */
  bool waits, polls     /* for the lock among handles; and asks again and again */
}
Handle handle[COUNT + 1];
#define my handle[me]
#define FOR_ALL(effect) \
  i = 1; \
  do :: i <= COUNT -> effect; i++ :: else -> break od; \
  i = 0

/* ---- What is so ---- */

byte turn;              /* the handle whose turn it is, from `begin` to `conclude` */
bool isHalfDone;        /* the tree lacks a part of a change */
bool dead[COUNT + 1];
bool isSpared;          /* nothing happens to MORTAL any more */
bool isStopped;         /* MORTAL is, by a signal */
bool isOfMortal[10];    /* whether a process of this model belongs to it */
byte turns, failures, timeouts, refusals;

inline die() {
  d_step {
    isSpared = true;
    dead[MORTAL] = true;
#ifndef DEATH_KEEPS_LOCK
    if :: T == MORTAL -> T = 0 :: else fi;
#endif
    if :: turn == MORTAL -> turn = 0 :: else fi;
    /* Its memory is gone. */
#define ITS handle[MORTAL]
    ITS.mutex = false; ITS.isClosed = false; ITS.waiting = 0; ITS.group = false; ITS.isHeld = false;
    ITS.isKept = false; ITS.wantedSince = false; ITS.hasGiven = false; ITS.isGranted = false;
    ITS.windowTurns = 0; ITS.lock = false; ITS.isStarted = false; ITS.isWatching = false;
    ITS.isStopped = false; ITS.begins = false; ITS.knowsLeaves = false; ITS.knownRecoveries = 0;
    ITS.leavesMoved = false; ITS.treeReplaced = false; ITS.isChanging = false;
    ITS.waits = false; ITS.polls = false
  }
}

/* Between steps that are joined. */
inline mayDie() {
  if
  :: true
  :: me == MORTAL && !isSpared -> die()
  fi
}

/*
 * Whether 2 ms may be over, or a window with few turns. A handle that waits asks several times in 2 ms if
 * it runs, and gets the lock if it is free. Only WAITING counts on that.
 */
#define OTHER (3 - me)
#ifdef WAITING
#define TIME_IS_UP (!handle[OTHER].polls || (isStopped && OTHER == MORTAL))
#else
#define TIME_IS_UP true
#endif

/* ---- The lock among handles ---- */

#ifdef NO_LOCK
#define CAN_TAKE true
#else
#define CAN_TAKE (T == 0)
#endif

inline take() {
  d_step {
    T = me; my.isHeld = true; my.polls = false; my.waits = false; isNew = true;
#ifndef FORGETS_NOTHING
    my.knowsLeaves = false; my.leavesMoved = false;
#endif
    /* noteGrant counts. */
    FOR_ALL(handle[i].isGranted = handle[i].hasGiven)
  }
}

inline excludeOthers() {
  if
  :: my.isHeld
  :: else ->
    my.waits = true;
#ifndef NOBODY_FIRST
    /* letOthersFirst */
    if
#ifdef WAITS_FOR_GRANT
    :: atomic { my.hasGiven && my.isGranted -> my.hasGiven = false; my.isGranted = false }
#else
    :: atomic { my.hasGiven && (my.isGranted || TIME_IS_UP) -> my.hasGiven = false; my.isGranted = false }
#endif
    :: !my.hasGiven
    fi;
#endif
    if
    :: atomic { CAN_TAKE -> take() }
    :: atomic { !CAN_TAKE -> my.polls = true };
      /* waitForOthers */
#ifdef MARKS_ONCE
      isWanted = true;
#endif
      do
#ifdef MARKS_ONCE
      :: atomic { CAN_TAKE -> take() }; break
#else
      :: !isWanted || CAN_TAKE ->
        isWanted = true;
        if
        :: atomic { CAN_TAKE -> take() }; break
        :: !CAN_TAKE
        fi
#endif
      :: atomic { timeouts < TIMEOUTS -> timeouts++; my.polls = false; my.waits = false };
        goto leaving
      od
    fi;
    /* It takes the mark away; another handle may just have set it. */
    isWanted = false
  fi
}

inline admitOthers() {
  if
  :: my.isHeld ->
#ifndef STILL_HELD
    my.isHeld = false;
#endif
    if :: T == me -> T = 0 :: else fi
  :: else
  fi
}

/* ---- A turn ---- */

/* Rebuilds the state beside the old one, and publishes it. */
inline recover() {
#ifdef BUSY_CLEARED_FIRST
  busy = false;
#endif
  d_step { isHalfDone = true; FOR_ALL(handle[i].treeReplaced = true) };
  mayDie();
#ifndef RECOVERIES_LATE
  recoveries++; mayDie();
#endif
  isHalfDone = false; mayDie();
#ifndef BUSY_CLEARED_FIRST
  busy = false; mayDie();
#endif
#ifdef RECOVERIES_LATE
  recoveries++; mayDie();
#endif
  skip
}

inline begin() {
  atomic {
    /* Nobody else is in a turn. */
    assert(T == me && turn == 0);
    turn = me;
#ifdef LOOKS_WHEN_NEW
    if :: busy && isNew -> recover() :: else fi;
#else
#ifndef NO_TAKEOVER
    if :: busy -> recover() :: else fi;
#endif
#endif
    isNew = false;
    assert(!isHalfDone);
#ifndef NO_FRESH_START
    /* startAfresh */
    if
    :: my.knownRecoveries != recoveries ->
      my.knownRecoveries = recoveries; my.treeReplaced = false;
      my.knowsLeaves = false; my.leavesMoved = false
    :: else
    fi;
#endif
#ifndef BUSY_LATE
    busy = true
#endif
  }
}

inline change() {
  atomic {
    assert(!my.isChanging && T == me && turn == me);
    my.isChanging = true;
    /* What it remembers is so. */
    assert(!my.treeReplaced);
    assert(!(my.knowsLeaves && my.leavesMoved));
    isHalfDone = true
  };
  atomic {
    assert(T == me && turn == me);
#ifdef BUSY_LATE
    busy = true;
#endif
    d_step {
      FOR_ALL(handle[i].leavesMoved = handle[i].knowsLeaves);
      my.knowsLeaves = true; my.leavesMoved = false; my.isChanging = false
    }
  }
}

/* The end of a change, or of a group of commits. */
inline conclude() {
  atomic {
    assert(T == me && turn == me);
    if
#ifdef BUSY_CLEARED_EARLY
    :: busy = false; mayDie(); isHalfDone = false
#else
    :: isHalfDone = false; mayDie(); busy = false
#endif
    :: failures < FAILURES -> failures++
    fi;
    turn = 0;
    my.group = false
  }
}

/* ---- Keeping the lock ---- */

/* KeptLock.beginTurn */
inline countTurn() {
#ifdef LONG_TURNS
  /* A window is over, and who waits has said so. */
  my.windowTurns = 1;
  isWanted || TIME_IS_UP
#else
  if
  :: atomic { my.windowTurns < MANY -> my.windowTurns++ }
  :: my.windowTurns == MANY
  :: atomic { TIME_IS_UP -> my.windowTurns = 1 }
  fi
#endif
}

/* KeptLock.release */
inline release() {
  my.isKept = false; my.wantedSince = false; my.hasGiven = isWanted; my.isGranted = false
}

/* LockKeeper.watch. What is done with the keeper's lock is one step: nothing in it waits. */
inline watch() {
  !my.lock;
  if
  :: my.isStarted -> isWatched = true
  :: !my.isStarted -> my.isStarted = true; my.begins = true; isWatched = true
  :: !my.isStarted && refusals < REFUSALS -> refusals++; isWatched = false
  fi;
  if :: isWatched -> my.isWatching = true :: else fi
}

#ifdef LEAVE_IGNORES_GROUP
#define STAYS_HELD (!my.isHeld)
#else
#define STAYS_HELD (my.group || !my.isHeld)
#endif

/* WriteLock.leave */
inline leave() {
  atomic {
    if
    :: STAYS_HELD
    :: !STAYS_HELD && my.isKept ->
      /* endTurn */
#ifndef NO_LOOK_AT_END
      if
      :: !isWanted
      :: isWanted && !my.wantedSince -> my.wantedSince = true
      :: isWanted && my.wantedSince -> release(); admitOthers()
      fi
#endif
    :: !STAYS_HELD && !my.isKept ->
      if
      :: my.windowTurns < MANY ->
#ifndef ONLY_KEPT_LETS_OTHERS_FIRST
        release();
#endif
        admitOthers()
#ifndef LONG_TURNS
      :: true ->
        /* beginKeeping */
        watch();
#ifdef KEEPS_UNWATCHED
        isWatched = true;
#endif
        if
        :: isWatched -> my.isKept = true
        :: else -> my.windowTurns = 0; admitOthers()
        fi;
        isWatched = false
#endif
      fi
    fi;
    my.mutex = false
  }
}

#ifdef NO_IDLE_RELEASE
#define IS_OVER isWanted
#else
#define IS_OVER (isWanted || TIME_IS_UP)
#endif
#ifdef REVIEW_IGNORES_GROUP
#define IS_DUE (!my.isKept || IS_OVER)
#else
#define IS_DUE (!my.isKept || (IS_OVER && !my.group))
#endif
#ifdef REVIEWS_WITHOUT_MUTEX
#define CAN_REVIEW IS_DUE
#else
#define CAN_REVIEW (!my.mutex && IS_DUE)
#endif

/* The thread of the keeper. */
proctype Keeper(byte me) MAY_BE_STOPPED {
  {
end:
    do
    :: atomic { my.begins -> my.begins = false };
      do
      :: /* waitForRound: ends the thread. */
        atomic {
          !my.lock && (!my.isWatching || my.isStopped);
#ifndef ENDS_LATE
          my.isStarted = false
#endif
        };
#ifdef ENDS_LATE
        my.isStarted = false;
#endif
        break
      :: /* waitForRound: a look is due. */
        atomic {
          !my.lock && my.isWatching && !my.isStopped;
#if defined(HOLDS_ITS_LOCK) || defined(WAITS_WITH_ITS_LOCK)
          my.lock = true
#endif
        };
        /* reviewKept */
        if
        :: atomic {
            CAN_REVIEW;
#ifndef REVIEWS_WITHOUT_MUTEX
            my.mutex = true;
#endif
            if :: my.isKept -> release(); admitOthers() :: else fi;
#ifdef STOPS_WATCHING_LATE
            my.mutex = false
#endif
          };
          /* stopWatching */
          atomic {
#ifndef WAITS_WITH_ITS_LOCK
            !my.lock;
#endif
            my.isWatching = false;
#if !defined(STOPS_WATCHING_LATE) && !defined(REVIEWS_WITHOUT_MUTEX)
            my.mutex = false
#endif
          }
        :: my.isStopped
#ifdef HOLDS_ITS_LOCK
        :: !CAN_REVIEW
#endif
        fi;
#if defined(HOLDS_ITS_LOCK) || defined(WAITS_WITH_ITS_LOCK)
        my.lock = false
#endif
      od
    od
  } unless { dead[me] }
}

/* ---- Threads ---- */

/* WriteLock.enter */
inline enter() {
#ifndef NO_MUTEX
  if
  :: atomic { !my.mutex -> my.mutex = true }
  :: atomic { my.mutex -> my.waiting++ };
    atomic { !my.mutex -> my.mutex = true; my.waiting-- }
  fi
#else
  skip
#endif
}

proctype Writer(byte me) MAY_BE_STOPPED {
  byte i;
  bool isNew, isWatched, closes;
  {
    do
#ifdef WAITING
    :: true ->
#else
    :: atomic { turns < TURNS && !my.isClosed -> turns++ };
write:
#endif
      enter();
#ifndef WAITING
      if
      :: my.group && !my.isClosed -> goto joined
      :: my.group -> conclude()
      :: !my.group
      fi;
      if
      :: closes ->
        /* WriteLock.close */
        atomic { !my.lock -> my.isStopped = true };
#ifndef CLOSE_KEEPS
        atomic { admitOthers() };
#endif
        goto leaving
      :: !closes && my.isClosed -> goto leaving
      :: else
      fi;
#endif
      excludeOthers();
#ifdef WAITING
      countTurn();
#else
      begin();
joined:
      if
      :: atomic { my.group || my.waiting > 0 -> my.group = true };
        change();
        if
        :: my.waiting > 0 ->
          my.mutex = false;
          atomic { !my.group && !my.mutex -> my.mutex = true }
        :: else -> conclude()
        fi
      :: !my.group -> change(); conclude()
      fi;
#endif
leaving:
      leave()
#ifdef THREADS
    :: atomic { me == 1 && !my.isClosed -> my.isClosed = true; closes = true; goto write }
#endif
#ifdef WAITING
    :: break
#else
    :: turns == TURNS || my.isClosed -> break
#endif
    od
  } unless { atomic { dead[me] -> i = 0; isNew = false; isWatched = false; closes = false } }
}

#ifdef THREADS
/* A reader that has the mutex for a moment, and not the lock among handles. */
proctype Reader(byte me) {
  bool isWatched;
  {
    if
    :: atomic { !my.mutex -> my.mutex = true }; leave()
    :: true
    fi
  } unless { atomic { dead[me] -> isWatched = false } }
}
#endif

/*
 * What happens to MORTAL; `init` may spare it. A run does not stop as long as something may happen.
 * The death of one that neither has the lock nor waits for it would change nothing.
 */
proctype Fate() {
end:
  if
  :: atomic { !isSpared && (T == MORTAL || handle[MORTAL].waits) -> die() }
#ifdef WAITING
  :: atomic { !isSpared -> isSpared = true; isStopped = true };
    if
    :: isStopped = false
    :: true
    fi
#endif
  fi
}

#ifdef WAITING
#ifdef STOPPED_WHILE_KEPT
#define IS_EXCUSED (isStopped && T == MORTAL && handle[MORTAL].mutex)
#else
#define IS_EXCUSED (isStopped && T == MORTAL)
#endif
/* It gets the lock, unless a process is stopped that has it. */
ltl gets { [] (handle[1].waits -> <> (!handle[1].waits || IS_EXCUSED)) }
#else
/* When nobody has anything to do, nobody has the lock. */
proctype End() { timeout -> assert(T == 0) }
#endif

init {
  atomic {
    byte h;
    for (h : 1 .. COUNT) {
      run Writer(h); isOfMortal[_nr_pr - 1] = h == MORTAL;
      run Keeper(h); isOfMortal[_nr_pr - 1] = h == MORTAL
    }
    h = 0;
    if
    :: isSpared = true
    :: true
    fi;
#ifdef THREADS
    run Writer(1); run Reader(1);
#endif
#ifndef WAITING
    run End();
#endif
    run Fate()
  }
}
