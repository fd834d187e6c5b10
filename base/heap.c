/* jemalloc is linked with this, and reads it at its start. Huge pages: the state's memory is walked
 * at random, and every page that is not in the processor's table costs as much as a miss. */
const char *malloc_conf = "thp:always";
