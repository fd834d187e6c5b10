/*
 * base/scheduling -- how the kernel shall share the processors among a server's threads: a shell.
 */
#ifndef TORC_BASE_SCHEDULING_H
#define TORC_BASE_SCHEDULING_H

/*
 * Asks for SCHED_BATCH (sched(7)) for the calling thread and all that are started after it: a
 * thread that is woken takes a free processor at once, and a busy one when the thread on it waits
 * or its slice ends, instead of pushing it off. A message passes four threads on its way; with
 * fewer of them than processors nothing changes, and with more each works off what has come
 * together instead of being interrupted for every message. Whoever started the process under
 * another policy is obeyed. Call it in main, before any thread is started. Needs no privilege;
 * refused, it changes nothing.
 */
void base_scheduling_batch(void);

#endif /* TORC_BASE_SCHEDULING_H */
