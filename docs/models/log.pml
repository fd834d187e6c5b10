/*
 * log.pml -- the log: leader change, learning, durability, the barrier (docs/protocol.md, "Electing" to
 * "Reading"; docs/adr/0005).
 *
 * Three acceptors, ballots 1 to NB led by nodes 1, 0 and THIRD, slots 0 to S-1, at most NC crashes. Messages
 * are facts: once sent they may be taken at any time, any number of times, in any order, or never. Values: b
 * is an operation first proposed by the leader of ballot b, 8+b its barrier, 7 what fills a hole; ballot 1
 * leads when it begins, its barrier behind it.
 *
 * Durability: a node is well, and then each of its records is synced before the next step; or it is doomed,
 * and then the power goes before the next sync: it goes on in memory, all records since are lost, and nothing
 * that waits for a sync is said. That is every crash, as a sync that takes long and is done before the crash
 * is the same to others as messages that take long.
 *
 * CHECKED: one value in a slot is chosen, over all ballots, and everybody applies that, also after a crash;
 * no operation has effect behind a barrier of a later ballot whose leader may have served; a confirmed read
 * sees all that anybody knew as chosen when it came.
 *
 * PLANTED: -DBUG_BLIND a chosen index counts whatever the ballot of the own entry; -DBUG_WRONGVAL a new
 * leader adopts the lowest ballot; -DBUG_FORGETCHOSEN a promise reports nothing of what its sender knows
 * chosen; -DBUG_NOBARRIER an entry of a deposed leader has effect behind a later barrier; -DBUG_EARLYREAD a
 * leader reads at its chosen index before its barrier is applied; -DBUG_UNSYNCED_PROMISE a promise, and
 * -DBUG_UNSYNCED_ACCEPT an acceptance, is claimed before its sync; -DBUG_UNLOGGED an entry is applied before
 * the own record is synced; -DBUG_REPLAY a restart applies what no mark covers.
 */
#ifndef NB
#define NB 3
#endif
#ifndef S
#define S 2
#endif
#ifndef NC
#define NC 0
#endif
#ifndef THIRD
#define THIRD 1
#endif
#define NODE(b) ((b) == 1 -> 1 : ((b) == 2 -> 0 : THIRD))
#define MAJ(m) ((m) == 3 || (m) == 5 || (m) == 6 || (m) == 7)
#define CHOSEN 15               /* Above every ballot. */
#define FILLER 7
#define BARRIER(b) (8 + (b))

/* Of an acceptor and a slot, of a ballot and a slot. */
#define AB(a, s) accB[(a) * S + (s)]
#define AV(a, s) accV[(a) * S + (s)]
#define LN(a, s) learned[(a) * S + (s)]
#define SB(a, s) syncB[(a) * S + (s)]
#define SV(a, s) syncV[(a) * S + (s)]
#define PR(b, s) prop[(b) * S + (s)]
#define AK(b, s) acks[(b) * S + (s)]
#define FB(b, s) foundB[(b) * S + (s)]
#define FV(b, s) foundV[(b) * S + (s)]

/* Acceptors, in memory. */
byte prom[3] = 1, accB[3 * S], accV[3 * S];
byte known[3];                  /* So many slots are marked as chosen. */
bit learned[3 * S];
/* What a doomed one has synced, and how much it has applied. */
bit doomed[3];
byte syncP[3], syncB[3 * S], syncV[3 * S], applied[3];
byte crashes = NC;

/* Ballots. */
#define NONE 0
#define ASKS 1
#define LEADS 2
#define OVER 3
byte stage[NB + 1], ayes[NB + 1], base[NB + 1];
byte foundB[(NB + 1) * S], foundV[(NB + 1) * S], prop[(NB + 1) * S], acks[(NB + 1) * S];

/* Seen from above. */
byte chosen[S];                 /* The value that a majority accepted. */
bit served[NB + 1];             /* The barrier of a ballot was chosen under it, in slot 0. */
bit said[S];                    /* Somebody has marked it. */

byte x, c, best;

/* What is read no more is forgotten, for fewer states: a ballot that nobody may follow any more, even after
 * a crash; acceptances that can be no majority any more; a marked record's ballot, when no crash will come. */
#define MAY(a, b) ((doomed[a] -> syncP[a] : prom[a]) <= (b))
#define SAFE (crashes == 0 && !doomed[0] && !doomed[1] && !doomed[2])

/* paxos_step_down. */
inline over(b) {
  stage[b] = OVER; ayes[b] = 0; FB(b, 0) = 0; FV(b, 0) = 0; FB(b, S - 1) = 0; FV(b, S - 1) = 0
}

/* paxos_promise_raise: who stands or leads at a lower ballot no longer does. */
inline raise(a, b) {
  prom[a] = b;
  c = 1;
  do :: c < b ->
       if :: NODE(c) == a && (stage[c] == ASKS || stage[c] == LEADS) -> over(c) :: else fi;
       x = MAY(0, c) + 2 * MAY(1, c) + 4 * MAY(2, c);
       if :: x == 0 -> PR(c, 0) = 0; PR(c, S - 1) = 0; AK(c, 0) = 0; AK(c, S - 1) = 0; base[c] = 0
          :: else ->
            if :: !MAJ(AK(c, 0) | x) -> AK(c, 0) = 0 :: else fi;
            if :: !MAJ(AK(c, S - 1) | x) -> AK(c, S - 1) = 0 :: else fi
       fi;
       c++
     :: else -> break od;
  c = 0; x = 0
}

/* The leader of ballot b says that s is chosen. */
#define SAYS0(b) (base[b] > 0 || MAJ(AK(b, 0)))
#if S == 1
#define SAYS(b, s) SAYS0(b)
#else
#define SAYS(b, s) ((s) == 0 -> SAYS0(b) : (base[b] > 1 || (SAYS0(b) && MAJ(AK(b, 1)))))
#endif

/* paxos_apply_ready: an operation has no effect behind the barrier of a ballot above its own. */
#ifdef BUG_NOBARRIER
#define VOID(a, v) false
#else
#define VOID(a, v) (AV(a, 0) > BARRIER(v))
#endif

inline apply(a, s) {
  assert(AV(a, s) == chosen[s]);
#if S > 1 && NB > 2
  if :: s == 1 && AV(a, 1) < FILLER && !VOID(a, AV(a, 1)) ->
          assert(!(AV(a, 1) < 2 && served[2]) && !(AV(a, 1) < 3 && served[3]))
     :: else fi
#endif
}

/* ADR 5: chosen, but applied only when the own record is synced too. */
#ifdef BUG_UNLOGGED
#define LOGGED(a, s) true
#else
#define LOGGED(a, s) (SB(a, s) == AB(a, s))
#endif

inline mark(a, s) {
  known[a] = s + 1; said[s] = 1;
  if :: SAFE -> AB(a, s) = CHOSEN :: else fi;
#if NC > 0
  if :: !doomed[a] -> apply(a, s)
     :: doomed[a] && applied[a] == s && LOGGED(a, s) -> apply(a, s); applied[a] = s + 1
     :: else fi
#else
  apply(a, s)
#endif
}

/* Whether it says so. */
#ifdef BUG_UNSYNCED_PROMISE
#define PROMISES(a) true
#else
#define PROMISES(a) (!doomed[a])
#endif
#ifdef BUG_UNSYNCED_ACCEPT
#define ACCEPTS(a, b, s) true
#else
#define ACCEPTS(a, b, s) (!doomed[a] || (syncP[a] == b && (s < known[a] || SB(a, s) == b)))
#endif

/* Whether it can report slot s to a candidate: not if it has but the state of it. */
#define HAS(a, b, s) (s >= known[a] || s < known[NODE(b)] || AV(a, s) == chosen[s])
#ifdef BUG_WRONGVAL
#define BETTER(new, old) (new != 0 && (old == 0 || (new == CHOSEN || new < old) && old != CHOSEN))
#else
#define BETTER(new, old) (new > old)
#endif

proctype Candidate(byte b) {
  byte n = NODE(b), s;
end: do
  /* prepare_begin: the own promise first. */
  :: atomic { stage[b] == NONE && prom[n] < b && PROMISES(n) ->
       raise(n, b); stage[b] = ASKS; ayes[b] = 1 << n }
  /* paxos_lead: adopts, fills, and then the barrier. */
  :: atomic { stage[b] == ASKS && MAJ(ayes[b]) ->
       stage[b] = LEADS; ayes[b] = 0; base[b] = known[n]; s = 0; x = base[b];
       do :: s < S ->
            if :: s < base[b] -> PR(b, s) = AV(n, s)
               :: else ->
                 best = (LN(n, s) -> CHOSEN : AB(n, s)); PR(b, s) = AV(n, s);
                 if :: BETTER(FB(b, s), best) -> PR(b, s) = FV(b, s) :: else fi;
                 if :: PR(b, s) != 0 -> x = s + 1 :: else fi;
                 FB(b, s) = 0; FV(b, s) = 0
            fi; s++
          :: else -> break od;
       s = base[b];
       do :: s < x -> if :: PR(b, s) == 0 -> PR(b, s) = FILLER :: else fi; s++
          :: else -> break od;
       if :: x < S -> PR(b, x) = BARRIER(b) :: else fi;
       s = 0; x = 0; best = 0 }
  od
}

/* Whether a read waits for slot s as its barrier is there or behind. */
#ifdef BUG_EARLYREAD
#define WAITS(b, s) false
#else
#define WAITS(b, s) (b > 1 && base[b] <= (s) && !((s) > 0 && PR(b, 0) == BARRIER(b)))
#endif

proctype Leader(byte b) {
end: do
#if S > 1
  /* paxos_propose, behind the barrier. */
  :: atomic { stage[b] == LEADS && base[b] < 2 && PR(b, 1) == 0 -> PR(b, 1) = b }
#endif
  /* paxos_read: it waits for what is chosen, and for the barrier. The round after it is answered by a
   * majority, which then had promised nothing higher when the read came. */
  :: atomic { stage[b] == LEADS && MAJ((prom[0] <= b) + 2 * (prom[1] <= b) + 4 * (prom[2] <= b)) ->
       assert((!said[0] || SAYS(b, 0) || WAITS(b, 0)) &&
              (!said[S - 1] || SAYS(b, S - 1) || WAITS(b, S - 1))) }
  od
}

proctype Promiser(byte a; byte b) {
  byte s;
end: do
  /* paxos_on_prepare, paxos_promise_report. */
  :: atomic { stage[b] == ASKS && prom[a] < b && HAS(a, b, 0) && HAS(a, b, S - 1) ->
       raise(a, b);
       if :: PROMISES(a) ->
            ayes[b] = ayes[b] | (1 << a); s = known[NODE(b)];
            do :: s < S ->
#ifdef BUG_FORGETCHOSEN
                 best = (s < known[a] -> 0 : AB(a, s));
#else
                 best = (s < known[a] -> CHOSEN : AB(a, s));
#endif
                 if :: BETTER(best, FB(b, s)) -> FB(b, s) = best; FV(b, s) = AV(a, s) :: else fi; s++
               :: else -> break od;
            s = 0; best = 0
          :: else fi }
  od
}

proctype Acceptor(byte a; byte b; byte s) {
end: do
  /* paxos_on_accept, paxos_on_accepted: what it knows chosen it acknowledges as it is. */
  :: atomic { PR(b, s) != 0 && s >= base[b] && prom[a] <= b &&
              ((s >= known[a] && !LN(a, s) && AB(a, s) < b) ||
               (AK(b, s) != 7 && !(AK(b, s) & (1 << a)) && ACCEPTS(a, b, s))) ->
       raise(a, b);
       if :: s >= known[a] && !LN(a, s) -> AB(a, s) = b; AV(a, s) = PR(b, s) :: else fi;
       if :: ACCEPTS(a, b, s) -> AK(b, s) = AK(b, s) | (1 << a);
            if :: MAJ(AK(b, s)) ->
                 assert(chosen[s] == 0 || chosen[s] == PR(b, s)); chosen[s] = PR(b, s); AK(b, s) = 7;
                 if :: s == 0 && PR(b, s) == BARRIER(b) -> served[b] = 1 :: else fi
               :: else fi
          :: else fi }
  /* paxos_mark: "chosen up to c" of the ballot that it follows. */
  :: atomic { prom[a] == b && known[a] == s && SAYS(b, s) && !LN(a, s) &&
#ifdef BUG_BLIND
       AB(a, s) != 0 -> mark(a, s) }
#else
       AB(a, s) == b -> mark(a, s) }
#endif
  /* paxos_on_learned. */
  :: atomic { prom[a] <= b && known[a] <= s && SAYS(b, s) && PR(b, s) != 0 && !LN(a, s) && AB(a, s) != b &&
              a != NODE(b) ->
       raise(a, b); AB(a, s) = b; AV(a, s) = PR(b, s);
#if S > 1
       if :: s == known[a] -> mark(a, s) :: else -> LN(a, s) = 1 fi }
#else
       mark(a, s) }
#endif
  od
}

proctype Node(byte a) {
  byte s;
end: do
#if S > 1
  /* paxos_mark: what was learned before the slot below it was. */
  :: atomic { known[a] == 1 && LN(a, 1) -> LN(a, 1) = 0; mark(a, 1) }
#endif
#if NC > 0
  /* It is doomed from here on. */
  :: atomic { crashes > 0 && !doomed[a] ->
       crashes--; doomed[a] = 1; syncP[a] = prom[a]; applied[a] = known[a];
       do :: s < S -> SB(a, s) = AB(a, s); SV(a, s) = AV(a, s); s++ :: else -> break od; s = 0 }
  /* recover: marks may be lost with the rest, and the state may have kept any of what was applied. */
  :: atomic { doomed[a] ->
       doomed[a] = 0; prom[a] = syncP[a]; syncP[a] = 0; known[a] = applied[a]; applied[a] = 0;
       do :: s < S -> AB(a, s) = SB(a, s); AV(a, s) = SV(a, s); SB(a, s) = 0; SV(a, s) = 0; LN(a, s) = 0; s++
          :: else -> break od;
       s = 0;
#ifdef BUG_REPLAY
       do :: known[a] < S && AB(a, known[a]) != 0 -> apply(a, known[a]); known[a]++ :: else -> break od;
#else
       do :: known[a] > 0 -> known[a]-- :: break od;
#endif
       s = 1;
       do :: s <= NB -> if :: NODE(s) == a && (stage[s] == ASKS || stage[s] == LEADS) -> over(s)
                           :: else fi; s++
          :: else -> break od;
       s = 0 }
#endif
  od
}

init {
  byte a, b;
  atomic { stage[1] = LEADS; PR(1, 0) = 1;
    run Leader(1);
    do :: a < 3 -> run Node(a); b = 1;
         do :: b <= NB -> run Acceptor(a, b, 0);
#if S > 1
              run Acceptor(a, b, 1);
#endif
              if :: b > 1 && NODE(b) != a -> run Promiser(a, b) :: else fi; b++
            :: else -> break od;
         a++
       :: else -> break od;
    b = 2;
    do :: b <= NB -> run Candidate(b); run Leader(b); b++ :: else -> break od;
    a = 0; b = 0 }
}
