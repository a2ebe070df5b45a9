/*
 * Who may vouch for records that others stored: the system writes pages by itself, an attempt
 * fails, and somebody else is told of it. (LogWriter.swift, StoreCore+WriteLock.swift,
 * StoreCore+Checkpoint.swift)
 *
 * A file's error is told once to each descriptor that was open when it happened, and to one
 * that is opened before anybody was told. A page whose writing failed is clean afterwards.
 *
 * A record is one page. One -D of the mutants named in `check` takes a rule out.
 */

#ifndef RECORDS
#define RECORDS 3
#endif
#ifndef FAILURES
#define FAILURES 2      /* attempts to write that fail */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define TURNS 3         /* of each process */

/* ---- The file ---- */

bool dirty[RECORDS + 1], onDisk[RECORDS + 1];
byte errors;            /* how often an attempt has failed */
bool told = true;       /* whether anybody knows of the last one */
byte failures, deaths;

/* ---- The shared state, and the locks, which fall with their holder ---- */

byte tail, durable;
bool busy, syncFailed, announced;
byte T, C;
byte known[3];          /* of errors, by each descriptor */

/* The system writes what is dirty; any of it may fail. */
inline writeBack() {
  atomic {
    r = 1; hasFailed = false;
    do
    :: r <= RECORDS && dirty[r] ->
       dirty[r] = false;
       if
       :: onDisk[r] = true
       :: failures < FAILURES || hasFailed ->
          if :: !hasFailed -> hasFailed = true; failures++ :: else fi
       fi;
       r++
    :: r <= RECORDS && !dirty[r] -> r++
    :: else -> break
    od;
    if :: hasFailed -> errors++; told = false :: else fi;
    r = 0; hasFailed = false
  }
}

inline openFile(p) {
  atomic { if :: told -> known[p] = errors :: else -> known[p] = errors - 1 fi }
}

inline sync(p) {
  writeBack();
  atomic {
    isGood = known[p] == errors;
    if :: !isGood -> known[p] = errors; told = true :: else fi
  }
}

inline storeAgain(upTo) {
  atomic {
    r = durable + 1;
    do :: r <= upTo -> dirty[r] = true; r++ :: else -> break od;
    r = 0
  }
}

/* What is called durable is there after a power failure. */
inline vouch(upTo) {
  atomic {
    if :: upTo > durable -> durable = upTo :: else fi;
    r = 1;
    do :: r <= durable -> assert(onDisk[r]); r++ :: else -> break od;
    r = 0
  }
}

inline mayDie(p) {
  if
  :: true
  :: atomic { deaths < DEATHS && p == 1 -> deaths++; if :: T == p -> T = 0 :: else fi;
       if :: C == p -> C = 0 :: else fi }; goto over
  fi
}

active proctype System() {
  byte r; bool hasFailed;
end: do :: writeBack() od
}

/* A `sync FILE` in a shell. */
active proctype Stranger() {
  byte r; bool hasFailed, isGood;
  openFile(0);
  sync(0)
}

proctype Handle(byte p) {
  byte r, inherited, note, turns; bool hasFailed, isGood, isNew = true;
  openFile(p);
  do
  :: turns < TURNS ->
     turns++;
     if
     :: /* a turn */
        atomic { T == 0 -> T = p };
        if
        :: busy || syncFailed ->
           /* Recovery: what is not durable is stored again. */
#ifndef TAKEOVER_STORES_NOTHING
           storeAgain(tail);
#endif
           sync(p); mayDie(p);
           if
           :: isGood -> vouch(tail); isNew = false; inherited = 0; syncFailed = false; busy = false
           :: else -> syncFailed = true; T = 0; goto next
           fi
        :: else
        fi;
        if :: isNew -> isNew = false; inherited = tail :: else fi;
        busy = true; mayDie(p);
        if :: tail < RECORDS -> atomic { tail++; dirty[tail] = true; onDisk[tail] = false } :: else fi;
        if
        :: true
        :: /* a durable commit */
#ifndef STORES_NOTHING_AGAIN
           if :: inherited > durable -> storeAgain(inherited) :: else fi;
#endif
           sync(p); mayDie(p);
           if
           :: isGood -> vouch(tail)
           :: else ->
#ifndef FORGETS_FAILED_SYNC
              syncFailed = true
#else
              skip
#endif
           fi
        fi;
        busy = false; T = 0
     :: /* a checkpoint, beside others' turns */
        atomic { T == 0 && !busy && !syncFailed -> T = p };
        if
        :: C == 0 -> C = p
        :: else -> T = 0; goto next
        fi;
        if
        :: announced -> syncFailed = true; announced = false; C = 0; T = 0; goto next
        :: else
        fi;
        if :: isNew -> isNew = false; inherited = tail :: else fi;
#ifndef STORES_NOTHING_AGAIN
        if :: inherited > durable -> storeAgain(inherited) :: else fi;
#endif
        note = tail; announced = true; T = 0;
        sync(p); mayDie(p);
        if
        :: !isGood -> syncFailed = true
        :: isGood && syncFailed
        :: isGood && !syncFailed -> vouch(note)
        fi;
        announced = false; C = 0
     fi;
     next: skip
  :: else -> break
  od;
over: skip
}

/* The second one comes at any time, while the first one is there. */
init {
  run Handle(1);
  run Handle(2)
}
