// etcd-load - the same closed loop as torc-load, on etcd's own Go client (clientv3, as Debian ships
// it in golang-etcd-server-dev): the second of the two clients that etcd is measured with.
// Keys, values and their choice are those of benchmarks/load/data.c.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
)

const placeMax = 65536

var pool [2 * placeMax]byte

func makePool() {
	state := uint64(1)
	for i := range pool {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		pool[i] = byte(state >> 32)
	}
}

func keyOf(index uint64) string { return fmt.Sprintf("key%013d", index) }

func valueOf(key string, size int, random *rand.Rand) string {
	place := random.Intn(placeMax)
	return key + fmt.Sprintf("%08x", place) + string(pool[place:place+size-24])
}

func good(value []byte, key string, size int) bool {
	var place int
	if len(value) != size || string(value[:16]) != key {
		return false
	}
	if _, err := fmt.Sscanf(string(value[16:24]), "%08x", &place); err != nil || place >= placeMax {
		return false
	}
	return string(value[24:]) == string(pool[place:place+size-24])
}

// chooser draws keys: uniform, or Zipf as Gray et al. and YCSB do.
type chooser struct {
	zipf             bool
	keys             uint64
	zeta, alpha, eta float64
}

const theta = 0.99

func newChooser(keys uint64, zipf bool) *chooser {
	c := &chooser{zipf: zipf, keys: keys}
	if zipf {
		for i := uint64(1); i <= keys; i++ {
			c.zeta += 1 / math.Pow(float64(i), theta)
		}
		c.alpha = 1 / (1 - theta)
		c.eta = (1 - math.Pow(2/float64(keys), 1-theta)) / (1 - (1+1/math.Pow(2, theta))/c.zeta)
	}
	return c
}

func (c *chooser) rank(drawn float64) uint64 {
	scaled := drawn * c.zeta
	if scaled < 1 {
		return 0
	}
	if scaled < 1+math.Pow(0.5, theta) {
		return 1
	}
	rank := uint64(float64(c.keys) * math.Pow(c.eta*drawn-c.eta+1, c.alpha))
	if rank >= c.keys {
		rank = c.keys - 1
	}
	return rank
}

func (c *chooser) draw(random *rand.Rand) uint64 {
	if !c.zipf {
		return uint64(random.Int63n(int64(c.keys)))
	}
	s := (c.rank(random.Float64()) + 1) * 0x9E3779B97F4A7C15
	s = (s ^ s>>32) * 0xD6E8FEB86659FD93
	return (s ^ s>>32) % c.keys
}

type load struct {
	op     string
	size   int
	end    time.Time
	choice *chooser
	errors int64
}

func (l *load) one(client *clientv3.Client, random *rand.Rand) error {
	key := keyOf(l.choice.draw(random))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if l.op == "set" || (l.op == "mix" && random.Intn(2) == 0) {
		_, err := client.Put(ctx, key, valueOf(key, l.size, random))
		return err
	}
	reply, err := client.Get(ctx, key)
	if err == nil && (len(reply.Kvs) != 1 || !good(reply.Kvs[0].Value, key, l.size)) {
		err = fmt.Errorf("a wrong value of %s", key)
	}
	return err
}

// run is a client: it sends `pipeline` requests, waits for all, and begins again.
func (l *load) run(client *clientv3.Client, pipeline int, seed int64) (times []float64) {
	randoms := make([]*rand.Rand, pipeline)
	for i := range randoms {
		randoms[i] = rand.New(rand.NewSource(seed*1000 + int64(i)))
	}
	for time.Now().Before(l.end) {
		var wait sync.WaitGroup
		bad := int64(0)
		began := time.Now()
		each := func(i int) {
			if err := l.one(client, randoms[i]); err != nil {
				if atomic.AddInt64(&l.errors, 1) <= 3 {
					log.Print(err)
				}
				atomic.AddInt64(&bad, 1)
			}
		}
		for i := 1; i < pipeline; i++ {
			wait.Add(1)
			go func(i int) { defer wait.Done(); each(i) }(i)
		}
		each(0)
		wait.Wait()
		if bad == 0 {
			times = append(times, float64(time.Since(began).Nanoseconds())/1000)
		}
	}
	return times
}

func quantile(sorted []float64, permille int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := (len(sorted)*permille+999)/1000 - 1
	return sorted[at]
}

func main() {
	port := flag.Int("port", 0, "of the leader, on loopback")
	op := flag.String("op", "set", "set, get or mix")
	clients := flag.Int("clients", 1, "")
	pipeline := flag.Int("pipeline", 1, "")
	seconds := flag.Int("seconds", 5, "")
	size := flag.Int("value", 256, "")
	keys := flag.Uint64("keys", 1000000, "")
	choice := flag.String("choice", "uniform", "uniform or zipf")
	seed := flag.Int64("seed", 1, "")
	flag.Parse()
	if *port == 0 || *size < 24 || *size > placeMax || (*op != "set" && *op != "get" && *op != "mix") {
		flag.Usage()
		os.Exit(2)
	}
	makePool()
	count := *clients
	if count > 16 {
		count = 16
	}
	connections := make([]*clientv3.Client, count)
	for i := range connections {
		var err error
		connections[i], err = clientv3.New(clientv3.Config{
			Endpoints:   []string{fmt.Sprintf("127.0.0.1:%d", *port)},
			DialTimeout: 5 * time.Second,
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	l := &load{op: *op, size: *size, choice: newChooser(*keys, *choice == "zipf")}
	began := time.Now()
	l.end = began.Add(time.Duration(*seconds) * time.Second)
	times := make([][]float64, *clients)
	var wait sync.WaitGroup
	for i := range times {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			times[i] = l.run(connections[i%count], *pipeline, *seed*100000+int64(i))
		}(i)
	}
	wait.Wait()
	elapsed := time.Since(began).Seconds()
	var all []float64
	for _, some := range times {
		all = append(all, some...)
	}
	sort.Float64s(all)
	operations := len(all) * *pipeline
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{
		"operations": operations, "errors": l.errors, "seconds": elapsed,
		"ops_s": float64(operations) / elapsed, "p50_us": quantile(all, 500),
		"p99_us": quantile(all, 990), "p999_us": quantile(all, 999), "max_us": quantile(all, 1000),
	})
}
