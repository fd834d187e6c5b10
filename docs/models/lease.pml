/*
 * lease.pml -- leases and who may be elected (docs/protocol.md, "Reading"; docs/adr/0007).
 *
 * Three voters; ballot 1 leads on node 0 when it begins, node 1 may stand for ballot 2 and node THIRD for
 * ballot 3. The leaders of 1 and 2 may have leases; all may step down and hand over, and each node may restart
 * at any time, any number of times. Of each time only what is left of it is kept, in ticks of the clock of
 * who waits, so time has no end. All clocks tick together, but each may gain GAIN ticks on the others over
 * the run: DRIFT, which the rates of two may differ over a lease, and one as clocks are read rounded down.
 *
 * CHECKED: no lease is valid when a higher ballot leads or has led, so a read under it misses no write.
 *
 * PLANTED: -DBUG_ANSWER the lease counts from the answer; -DBUG_DRIFT nothing is taken off it for drift;
 * -DBUG_ROUND a granter keeps it to the tick; -DBUG_FORGET a granter promises others while its grant runs;
 * -DBUG_BOOT it forgets its grant when it restarts; -DBUG_KEEP a leader that hands over keeps its lease;
 * -DBUG_ANYHAND a hand-over frees from the grants of all ballots.
 */
#ifndef THIRD
#define THIRD 2
#endif
#define NB 3
#ifndef LEASE
#define LEASE 2
#endif
#ifndef DRIFT
#define DRIFT 1
#endif
#define GAIN (DRIFT + 1)
#ifdef BUG_DRIFT
#define COUNTED LEASE
#else
#define COUNTED (LEASE - DRIFT)
#endif
#ifdef BUG_ROUND
#define KEPT LEASE
#else
#define KEPT (LEASE + 1)
#endif
#define MAJ(m) ((m) == 3 || (m) == 5 || (m) == 6 || (m) == 7)
#define NODE(b) ((b) == 1 -> 0 : ((b) == 2 -> 1 : THIRD))

/* Of a ballot. */
#define NONE 0
#define STANDS 1
#define LEADS 2
#define OVER 3

byte gain[3] = GAIN;   /* Ticks that a clock may still gain on the others. */
byte grant[3];         /* Ticks that what a node granted still runs, */
byte to[3];            /* at this ballot; 0: in an earlier life. */
byte promised[3] = 1;

byte stage[NB + 1];
bit led[NB + 1];       /* Now or once. */
byte ayes[NB + 1];     /* Who promised. */
byte hand[NB + 1];     /* The ballot that the candidate says was handed over to it. */
byte left[NB + 1];     /* Of the lease. */
bit dropped[NB + 1];   /* No lease under this ballot any more. */
bit asked[NB + 1];     /* A round is under way, */
byte age[NB + 1];      /* sent so many ticks ago, */
byte answered[NB + 1]; /* and answered by these. */

#ifdef BUG_KEEP
#define MAYHAVE(b) true
#else
#define MAYHAVE(b) (!dropped[b])
#endif
#define VALID(b) (MAYHAVE(b) && left[b] > 0)

#define ALIVE(b) (stage[b] == STANDS || stage[b] == LEADS)

inline over(b) {
  stage[b] = OVER; ayes[b] = 0; hand[b] = 0; left[b] = 0; asked[b] = 0; age[b] = 0; answered[b] = 0
}

/* paxos_promise_raise: who stands or leads at a lower ballot no longer does. */
inline raise(i, b) {
  promised[i] = b;
  if :: i == 0 && stage[1] != OVER -> over(1) :: else fi;
  if :: i == 1 && ALIVE(2) && b > 2 -> over(2) :: else fi
}

#define BUSY(i) ((NODE(1) == i && ALIVE(1)) || (NODE(2) == i && ALIVE(2)) || (NODE(3) == i && ALIVE(3)))

/* paxos_granted, the other way round. */
#ifdef BUG_FORGET
#define FREE(i, b) true
#elif defined(BUG_ANYHAND)
#define FREE(i, b) (grant[i] == 0 || (to[i] != 0 && (NODE(to[i]) == NODE(b) || hand[b] != 0)))
#else
#define FREE(i, b) (grant[i] == 0 || (to[i] != 0 && (NODE(to[i]) == NODE(b) || hand[b] == to[i])))
#endif

inline tick_ballot(b) {
  if :: left[b] > 0 -> left[b]-- :: else fi;
  if :: asked[b] && age[b] < COUNTED -> age[b]++ :: else fi
}

inline tick_grant(i) {
  if :: grant[i] > 1 -> grant[i]-- :: grant[i] == 1 -> grant[i] = 0; to[i] = 0 :: else fi
}

/* consensus_event.now_ms. */
proctype Time() {
end: do
  :: atomic { tick_grant(0); tick_grant(1); tick_grant(2); tick_ballot(1); tick_ballot(2) }
  od
}

proctype Node(byte i) {
end: do
  /* A clock that runs fast. */
  :: atomic { gain[i] > 0 -> gain[i]--; tick_grant(i);
       if :: NODE(1) == i -> tick_ballot(1) :: else fi;
       if :: NODE(2) == i -> tick_ballot(2) :: else fi }
  /* recover: it waits for what it may have granted; it stands no more and leads no more. */
  :: atomic { grant[i] < KEPT || to[i] != 0 || BUSY(i) ->
#ifdef BUG_BOOT
       grant[i] = 0;
#else
       grant[i] = KEPT;
#endif
       to[i] = 0;
       if :: NODE(1) == i && stage[1] == LEADS -> over(1) :: else fi;
       if :: NODE(2) == i && ALIVE(2) -> over(2) :: else fi;
       if :: NODE(3) == i && ALIVE(3) -> over(3) :: else fi }
  od
}

/* What the leader of ballot b and its rounds do. */
proctype Leader(byte b) {
end: do
  /* paxos_round_send. */
  :: atomic { stage[b] == LEADS && !asked[b] -> asked[b] = 1; answered[b] = 1 << NODE(b) }
  /* The round is given up for the next. */
  :: atomic { asked[b] -> asked[b] = 0; answered[b] = 0; age[b] = 0 }
  /* paxos_on_heartbeat_reply, paxos_lease_renew: a majority has answered. */
  :: atomic { asked[b] && MAJ(answered[b]) ->
       if :: MAYHAVE(b) ->
#ifdef BUG_ANSWER
            left[b] = COUNTED
#else
            if :: COUNTED - age[b] > left[b] -> left[b] = COUNTED - age[b] :: else fi
#endif
          :: else fi;
       asked[b] = 0; answered[b] = 0; age[b] = 0;
       assert(!(VALID(b) && (led[3] || (b == 1 && led[2])))) }
  /* paxos_transfer: dropped for good. The target stands in Candidate. */
  :: atomic { stage[b] == LEADS && !dropped[b] -> dropped[b] = 1;
#ifndef BUG_KEEP
       left[b] = 0
#endif
     }
  /* paxos_leader_tick: no majority answers. */
  :: atomic { stage[b] == LEADS -> over(b) }
  od
}

/* paxos_on_heartbeat: a voter that promised nothing higher grants and answers. */
proctype Voter(byte i; byte b) {
end: do
  :: atomic { led[b] && promised[i] <= b && !(asked[b] && (answered[b] & (1 << i))) ->
       if :: promised[i] < b ->
            promised[i] = b; if :: i == 0 && stage[1] != OVER -> over(1) :: else fi
          :: else fi;
       grant[i] = KEPT; to[i] = b;
       if :: asked[b] -> answered[b] = answered[b] | (1 << i) :: else fi }
  od
}

#define LEADING(i) ((stage[1] == LEADS && NODE(1) == i) || (stage[2] == LEADS && NODE(2) == i))

proctype Candidate(byte b) {
  byte i = NODE(b);
end: do
  /* canvass_begin, prepare_begin. */
  :: atomic { stage[b] == NONE && promised[i] < b && !LEADING(i) && FREE(i, b) ->
       promised[i] = b; stage[b] = STANDS; ayes[b] = 1 << i }
  /* paxos_on_transfer. */
  :: atomic { stage[b] == NONE && promised[i] < b && !LEADING(i) && dropped[promised[i]] &&
       NODE(promised[i]) != i ->
       hand[b] = promised[i];
       if :: FREE(i, b) -> promised[i] = b; stage[b] = STANDS; ayes[b] = 1 << i
          :: else -> hand[b] = 0 fi }
  /* paxos_on_promise, paxos_lead. */
  :: atomic { stage[b] == STANDS && MAJ(ayes[b]) -> stage[b] = LEADS; led[b] = 1; ayes[b] = 0; hand[b] = 0;
       assert(!VALID(1) && (b == 2 || !VALID(2))) }
  od
}

/* paxos_on_prepare. */
proctype Promiser(byte i; byte b) {
end: do
  :: atomic { stage[b] == STANDS && promised[i] < b && FREE(i, b) -> raise(i, b); ayes[b] = ayes[b] | (1 << i) }
  od
}

init {
  atomic { stage[1] = LEADS; led[1] = 1;
    run Time(); run Node(0); run Node(1); run Node(2); run Leader(1); run Leader(2);
    run Voter(1, 1); run Voter(2, 1); run Voter(0, 2); run Voter(2, 2);
    run Candidate(2); run Candidate(3);
    run Promiser(0, 2); run Promiser(2, 2);
    run Promiser((THIRD + 1) % 3, 3); run Promiser((THIRD + 2) % 3, 3) }
}
