/*
 * log.pml -- the log: leader change, learning, durability (DESIGN section 4, rules 1 to 6).
 *
 * Three acceptors, ballots 1..NB led in turn by nodes 1 and 0, two slots. A record that is durable before it
 * is spoken of is one atomic step (an unsynced record that nobody was told of equals a message not yet
 * received); BUG_NOSYNC breaks just that. Messages are facts: once sent they can be delivered for ever, any
 * number of times, in any order. A leader of an old ballot may go on for ever. Values: b is an operation of
 * ballot b's leader, 8+b its barrier, 7 what fills a hole.
 *
 * CHECKED: one value in a slot, whoever applies it, also after a restart; what is applied is what a majority
 * accepted at one ballot.
 *
 * PLANTED: -DBUG_BLIND a chosen index counts whatever the ballot of the own entry; -DBUG_NOSYNC a promise is
 * sent before its sync; -DBUG_WRONGVAL a new leader adopts the lowest ballot; -DBUG_REPLAY a restart applies
 * what no mark covers; -DBUG_RECORDSONLY a promise reports records, not what its sender knows chosen;
 * -DBUG_NOBARRIER an entry of a deposed leader has effect behind a later barrier.
 */
#ifndef NB
#define NB 3
#endif
#define S 2
#define PB(b,a,s) prB[(((b)*3)+(a))*S+(s)]
#define PV(b,a,s) prV[(((b)*3)+(a))*S+(s)]
#define PR(b,s) prop[(b)*S+(s)]
#define AK(b,s) ak[(b)*S+(s)]
#define AB(a,s) accB[(a)*S+(s)]
#define AV(a,s) accV[(a)*S+(s)]
#define MK(a,s) mark[(a)*S+(s)]
#define NODE(b) ((b)%2)
#define G1(a,b) 1
#define G2(a,b) 1
#define MAJ(m) ((m)==3||(m)==5||(m)==6||(m)==7)
byte prom[3], accB[3*S], accV[3*S], mark[3*S], cmp[3];
byte prB[(NB+1)*3*S], prV[(NB+1)*3*S], pm[NB+1], prop[(NB+1)*S], ak[(NB+1)*S], canv[NB+1];
byte gv[S]; bit led[NB+1], asked[NB+1];
byte x, hb, hv, s0;

/* paxos_apply_out: an entry of a lower origin than the newest barrier before it has no effect; so none has
 * after a barrier was chosen at its own ballot, when "it did not happen" may have been answered. */
inline apply(s,v) { if :: gv[s]==0 -> gv[s]=v :: else -> assert(gv[s]==v) fi;
#ifdef BUG_NOBARRIER
   if :: s==1 && gv[0]>8 && v<7 && v<gv[0]-8 -> assert(!MAJ(AK(gv[0]-8,0))) :: else fi
#endif
}
proctype Cand(byte b) {
end: do
  :: atomic { !asked[b] &&
#ifdef BUG_RECORDSONLY
     MAJ(canv[b]) &&
#endif
     prom[NODE(b)]<b -> asked[b]=1 }
  :: atomic { asked[b] && !led[b] && MAJ(pm[b]) && (pm[b] & (1<<NODE(b))) -> led[b]=1; s0=0; /* phase 1 complete */
       do :: s0<S -> hb=0; hv=0; x=0;
            do :: x<3 -> if :: (pm[b]&(1<<x)) && PB(b,x,s0)>0 &&
#ifdef BUG_WRONGVAL
                 (hb==0 || PB(b,x,s0)<hb) -> hb=PB(b,x,s0); hv=PV(b,x,s0) :: else fi; x++ :: else -> break od;
#else
                 PB(b,x,s0)>hb -> hb=PB(b,x,s0); hv=PV(b,x,s0) :: else fi; x++ :: else -> break od;
#endif
            PR(b,s0)=hv; s0++ :: else -> break od;
       /* holes, then the leader's own no-op in the first free slot */
       if :: PR(b,0)==0 && PR(b,1)==0 -> PR(b,0)=8+b :: PR(b,0)==0 && PR(b,1)!=0 -> PR(b,0)=7 /* filler */ :: PR(b,0)!=0 && PR(b,1)==0 -> PR(b,1)=8+b :: else fi;
       x=0; hb=0; hv=0; s0=0; 
       x=0; do :: x<3 -> PB(b,x,0)=0; PB(b,x,1)=0; PV(b,x,0)=0; PV(b,x,1)=0; x++ :: else -> break od; x=0; pm[b]=7 }
  :: atomic { led[b] && PR(b,0)!=0 && PR(b,1)==0 -> PR(b,1)=b }       /* pipelined operation */
  od
}
proctype First() { atomic { led[1]=1; asked[1]=1; pm[1]=7; if :: PR(1,0)=1 :: PR(1,0)=9 fi }; atomic { PR(1,1)=1 } }   /* second slot pipelined */
proctype Acc(byte a; byte b) {
  byte s;
end: do
#ifdef BUG_RECORDSONLY
  :: atomic { !asked[b] && !(canv[b]&(1<<a)) && (cmp[a]==0 || MK(NODE(b),0)!=0) -> canv[b]=canv[b]|(1<<a) }
#endif
  :: atomic { G2(a,b) && asked[b] && !led[b] && !(pm[b]&(1<<a)) && prom[a]<b -> /* promise, durable, then sent */
#ifdef BUG_NOSYNC
       if :: prom[a]=b :: skip fi;        /* skip: sent, then the power went before the sync */
#else
       prom[a]=b;
#endif
       s=0; do :: s<S ->
#ifdef BUG_RECORDSONLY
            if :: s==0 && MK(NODE(b),0)!=0 -> PB(b,a,s)=15; PV(b,a,s)=MK(NODE(b),0)   /* not in the candidate's suffix */
               :: else -> PB(b,a,s)=AB(a,s); PV(b,a,s)=AV(a,s) fi;
#else
            if :: MK(a,s)!=0 -> PB(b,a,s)=15; PV(b,a,s)=MK(a,s) :: else -> PB(b,a,s)=AB(a,s); PV(b,a,s)=AV(a,s) fi;
#endif
            s++ :: else -> break od; s=0; pm[b]=pm[b]|(1<<a) }
  od
}
proctype Slot(byte a; byte b; byte s) {
end: do
  :: atomic { G1(a,b) && PR(b,s)!=0 && prom[a]<=b && AB(a,s)<b && !(cmp[a]>s) -> prom[a]=b; AB(a,s)=b; AV(a,s)=PR(b,s); AK(b,s)=AK(b,s)|(1<<a);
       if :: MAJ(AK(b,s)) -> if :: gv[s]!=0 -> assert(gv[s]==PR(b,s)) :: else fi :: else fi }
  /* "chosen up to c" of ballot b: in order */
  :: atomic { MAJ(AK(b,s)) && (s==0 || MAJ(AK(b,0))) && MK(a,s)==0 && (s==0 || MK(a,0)!=0) &&
#ifdef BUG_BLIND
       AB(a,s)!=0 -> apply(s,AV(a,s)); MK(a,s)=AV(a,s) }
#else
       AB(a,s)==b -> apply(s,AV(a,s)); MK(a,s)=AV(a,s) }
#endif
  :: atomic { MAJ(AK(b,s)) && (s==0 || MAJ(AK(b,0))) && MK(a,s)==0 && (s==0 || MK(a,0)!=0) && AB(a,s)!=b && prom[a]<=b -> /* learn */
       prom[a]=b; AB(a,s)=b; AV(a,s)=PR(b,s); apply(s,PR(b,s)); if :: MK(a,s)=AV(a,s) :: skip fi }
#ifdef BUG_REPLAY
  :: atomic { AB(a,s)==b && MK(a,s)==0 && (s==0 || MK(a,0)!=0) -> apply(s,AV(a,s)); MK(a,s)=AV(a,s) }
#endif
#ifdef BUG_RECORDSONLY
  :: atomic { s==0 && b==1 && MK(a,0)!=0 && cmp[a]==0 -> cmp[a]=1; AB(a,0)=0; AV(a,0)=0 }
#endif
  od
}
init { atomic { byte b=1; byte a=0; run First();
  do :: b<=NB -> if :: b>1 -> run Cand(b) :: else fi; a=0;
      do :: a<3 -> if :: b>1 -> run Acc(a,b) :: else fi; run Slot(a,b,0); run Slot(a,b,1); a++ :: else -> break od;
      b++ :: else -> break od; 
  b=0; a=0 } }
