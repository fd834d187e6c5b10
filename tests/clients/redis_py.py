#!/usr/bin/python3
"""redis-py against a router; conduct.c says how this is run."""

import concurrent.futures
import sys
import threading
import time

try:
    import redis
except ImportError:
    print("SKIPPED: python3-redis is not installed")
    sys.exit(0)

KEYS = 10000
BIG = 1 << 20
VALUE_SIZE_MAX = 8 << 20
WORKERS = 4
MORE = 200  # Acknowledged writes after what happened has happened.


def start_up(db):
    assert db.ping()
    assert db.info()["redis_version"].startswith("7.")
    hello = db.execute_command("HELLO", 2)
    assert hello[hello.index("proto") + 1] == 2
    assert "get" in db.command()
    assert db.client_setname("matrix") and db.client_getname() == "matrix"
    assert db.execute_command("CLIENT", "SETINFO", "LIB-NAME", "redis-py") == "OK"
    try:
        db.execute_command("CLUSTER", "SLOTS")
        raise AssertionError("CLUSTER SLOTS is answered")
    except redis.ResponseError as error:
        assert "cluster support disabled" in str(error), error
    assert db.config_get("appendonly") == {"appendonly": "yes"}


def pipeline(db):
    pipe = db.pipeline(transaction=False)
    for i in range(500):
        pipe.set(f"pipe:{i}", i).get(f"pipe:{i}")
    assert pipe.execute() == [answer for i in range(500) for answer in (True, str(i))]
    pipe = db.pipeline(transaction=False)
    for i in range(1000):
        pipe.incr("pipe:n")
    assert pipe.execute() == list(range(1, 1001))
    db.flushall()


def scan(db):
    pipe = db.pipeline(transaction=False)
    for i in range(KEYS):
        pipe.set(f"scan:{i}", i)
    assert all(pipe.execute())
    assert db.dbsize() == KEYS
    assert set(db.scan_iter(count=1000)) == {f"scan:{i}" for i in range(KEYS)}
    assert len(set(db.scan_iter(match="scan:*7"))) == KEYS // 10


def big_values(db):
    number = db.client_id()
    value = "v" * (BIG - 1) + "w"
    assert db.set("big", value) and db.get("big") == value
    try:
        db.set("big", b"x" * (VALUE_SIZE_MAX + 1))
        raise AssertionError("a value that is too big is taken")
    except redis.ResponseError as error:
        assert "value_size_max" in str(error), error
    assert db.client_id() == number and db.get("big") == value


def expiry(db):
    assert db.set("brief", 1, px=300) and 0 < db.pttl("brief") <= 300
    assert db.set("long", 1, ex=100) and 90 < db.ttl("long") <= 100
    assert db.persist("long") and db.ttl("long") == -1
    deadline = time.monotonic() + 10
    while db.exists("brief"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert db.get("brief") is None and db.ttl("brief") == -2


class Load:
    """Adds to a counter and writes keys once each, while what is ordered happens and a little longer."""

    def __init__(self, db, name):
        self.db, self.name = db, name
        self.lock = threading.Lock()
        self.deadline = time.monotonic() + 60
        self.begun = self.added = self.unknown = 0
        self.wanted = float("inf")
        self.written = []

    def happened(self, call, *arguments):
        """True, False, or None when that is not known."""
        try:
            call(*arguments)
            return True
        except redis.ResponseError as error:
            if str(error).startswith("UNKNOWN"):
                return None
            assert "nothing was done" in str(error), error
            return False
        except (redis.ConnectionError, redis.TimeoutError):
            time.sleep(0.01)
            return None

    def work(self):
        while self.added < self.wanted and time.monotonic() < self.deadline:
            with self.lock:
                i = self.begun
                self.begun += 1
            key = f"{self.name}:{i}"
            kept = self.happened(self.db.set, key, i)
            added = self.happened(self.db.incr, self.name)
            with self.lock:
                if kept:
                    self.written.append((key, str(i)))
                self.added += added is True
                self.unknown += added is None

    def run(self, order):
        print(order, flush=True)
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            workers = [pool.submit(self.work) for _ in range(WORKERS)]
            assert sys.stdin.readline() == "done\n"
            self.wanted = self.added + MORE
            for worker in workers:
                worker.result()
        assert self.added >= self.wanted
        self.judge(order)

    def judge(self, order):
        keys = [key for key, _ in self.written]
        assert self.db.mget(keys) == [value for _, value in self.written]
        counter = int(self.db.get(self.name))
        print(f"{order}: acknowledged {self.added}, unknown {self.unknown}, counter {counter}")
        assert self.added <= counter <= self.added + self.unknown


def main():
    if sys.argv[1] == "check":
        return
    db = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
    print("redis-py", redis.__version__)
    for test in (start_up, pipeline, scan, big_values, expiry):
        begun = time.monotonic()
        test(db)
        print(f"{test.__name__}: {time.monotonic() - begun:.2f} s", flush=True)
    Load(db, "kill").run("kill")
    Load(db, "router").run("router")


main()
