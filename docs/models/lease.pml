/*
 * lease.pml -- the lease and who may be elected (DESIGN section 4, rule 7; docs/adr/0007).
 *
 * Three voters, the leader of ballot 1 on node 0, candidates for ballots 2 and 3 on nodes 1 and 2. Time
 * is discrete, TICKS of it. Each node has a clock of its own; a granter's may run ahead by one tick once
 * (a leader's only ends its lease the sooner), so two clocks differ over a lease by at most DRIFT, which
 * the leader takes off. A round is a question and its answers; one is under way at a time, and each
 * message may take any time or be lost.
 *
 * CHECKED: no leader is elected inside a valid lease; no lease is taken while somebody leads at a higher
 * ballot; so a read under a lease misses no write.
 *
 * PLANTED: -DBUG_ANSWER the lease counts from the answer; -DBUG_FORGET a granter promises others while its
 * grant runs; -DBUG_BOOT it forgets its grant when it restarts; -DBUG_KEEP a leader that hands over keeps
 * its lease.
 */
#ifndef TICKS
#define TICKS 4
#endif
#define LEASE 2
#define DRIFT 1
#define MAJ(m) ((m) == 3 || (m) == 5 || (m) == 6 || (m) == 7)
#define CLOCK(i) (now + ahead[i])
#define COUNTED (LEASE - DRIFT)

byte now;               /* True time. */
bit ahead[3];           /* Clocks that have run ahead. */
byte grant[3];          /* Until when each has granted, by its own clock; 0: never. */
byte promised[3] = 1;
bit restarted[3];       /* Each may restart once. */
bit leads = 1;          /* Node 0, at ballot 1. */
bit dropped;            /* It hands over: no lease under its ballot any more. */
byte until;             /* Of its lease, by its clock. */
bit asked;              /* A round is under way, */
byte asked_at, answered; /* since this time of its clock, answered by these. */
byte aye[4];            /* Voters that promised to a ballot. */
bit led[4];             /* Ballots whose candidate leads. */
bit handed;             /* The target prepares at ballot 2 and names ballot 1 as handed over. */

#define VALID (leads && !dropped && CLOCK(0) < until)

/* Time, and clocks that run fast: consensus_event.now_ms. */
proctype Time() {
end: do
  :: atomic { now < TICKS -> now++ }
  :: atomic { !ahead[1] && now < TICKS -> ahead[1] = 1 }
  :: atomic { !ahead[2] && now < TICKS -> ahead[2] = 1 }
  od
}

proctype Leader() {
end: do
  /* paxos_round_send: the round and when it was sent. */
  :: atomic { leads && !asked && now < TICKS -> asked = 1; asked_at = CLOCK(0); answered = 1 }
  /* A lost round is given up for the next. */
  :: atomic { asked -> asked = 0; answered = 0 }
  /* paxos_round_answered, paxos_lease_renew: a majority has answered. */
  :: atomic { leads && asked && MAJ(answered) ->
#ifdef BUG_ANSWER
       until = CLOCK(0) + COUNTED;
#else
       if :: asked_at + COUNTED > until -> until = asked_at + COUNTED :: else fi;
#endif
       asked = 0; answered = 0; asked_at = 0;
       assert(!(VALID && (led[2] || led[3]))) }
  /* paxos_transfer: the lease is dropped for good, then the target may stand. */
  :: atomic { leads && !handed ->
#ifndef BUG_KEEP
       dropped = 1;
#endif
       handed = 1 }
  od
}

/* The others, and the grants that the leader's own node gives nobody. */
proctype Voter(byte i) {
end: do
  /* paxos_receive, HEARTBEAT: a voter that promised nothing higher grants and answers. */
  :: atomic { i > 0 && asked && !(answered & (1 << i)) && promised[i] <= 1 ->
       grant[i] = CLOCK(i) + LEASE; answered = answered | (1 << i) }
  /* paxos_granted, promise: to a candidate, when no grant to another runs or the grantee handed over. A
   * leader that promises another ballot leads no more: paxos_step_down. */
  :: atomic { promised[i] < 2 && !(aye[2] & (1 << i)) &&
#ifndef BUG_FORGET
       (handed || i == 0 || grant[i] == 0 || CLOCK(i) > grant[i]) &&
#endif
       (i != 0 || !VALID) -> promised[i] = 2; aye[2] = aye[2] | (1 << i);
       if :: i == 0 -> leads = 0; asked = 0; answered = 0; until = 0 :: else fi }
  :: atomic { promised[i] < 3 && !(aye[3] & (1 << i)) &&
#ifndef BUG_FORGET
       (i == 0 || grant[i] == 0 || CLOCK(i) > grant[i]) &&
#endif
       (i != 0 || !VALID) -> promised[i] = 3; aye[3] = aye[3] | (1 << i);
       if :: i == 0 -> leads = 0; asked = 0; answered = 0; until = 0 :: else fi }
  /* consensus_boot.lease_wait_ms: it waits for what it may have granted. The leader that restarts leads
   * no more. */
  :: atomic { !restarted[i] -> restarted[i] = 1;
#ifdef BUG_BOOT
       grant[i] = 0;
#else
       grant[i] = CLOCK(i) + LEASE;
#endif
       if :: i == 0 -> leads = 0; asked = 0; answered = 0; until = 0 :: else fi }
  od
}

/* A candidate whose own voter is among those that promised: paxos_lead. */
proctype Candidate(byte b) {
end: atomic { !led[b] && MAJ(aye[b]) && (aye[b] & (1 << (b - 1))) -> led[b] = 1; assert(!VALID) }
}

init {
  atomic { run Time(); run Leader(); run Voter(0); run Voter(1); run Voter(2); run Candidate(2);
           run Candidate(3) }
}
