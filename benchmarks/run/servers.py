"""What is measured: torc, etcd and Redis Cluster on loopback, each in a folder of its own.

All have: start(), fill(load), settle(), pids(), syncs() by node, clients(): name -> Client, stop().
"""

import json
import os
import struct
import time
import urllib.request

from processes import Failure, Process, cpu_seconds, run, wait_until

BIN = "bazel-bin"
LOAD = f"{BIN}/benchmarks/load/torc-load"
ADMIN = f"{BIN}/admin/torc-admin"
FILL = ["--op", "fill", "--clients", "16", "--pipeline", "16"]
QUIET_SHARE = 0.1  # Of a CPU, in a second in which a server is said to be quiet.
QUIET_SECONDS = 3


def counting(folder):
    """Environment of a program whose syncs are to be counted, into that folder."""
    os.makedirs(folder, exist_ok=True)
    counter = os.path.abspath(f"{BIN}/benchmarks/load/libsynccount.so")
    return {"LD_PRELOAD": counter, "SYNC_COUNT_DIR": os.path.abspath(folder)}


def counted(folder, pid):
    with open(f"{folder}/{pid}", "rb") as stream:
        return struct.unpack("<Q", stream.read(8))[0]


class Client:
    """A load generator against a server: `command` lacks what a case says."""

    def __init__(self, server, name, command, ops=("set", "get", "mix"), wait=False):
        self.server, self.name, self.command, self.ops, self.wait = server, name, command, ops, wait


def wait_until_quiet(pids, limit=300):
    """Compactions and what else goes on behind the answers has ended."""
    deadline, quiet = time.monotonic() + limit, 0
    before = cpu_seconds(pids)
    while quiet < QUIET_SECONDS:
        if time.monotonic() > deadline:
            raise Failure(f"servers {pids} do not come to rest within {limit} s")
        time.sleep(1)
        now = cpu_seconds(pids)
        quiet = quiet + 1 if now - before < QUIET_SHARE else 0
        before = now


class Torc:
    """As `./dev up` starts it, or made with leases."""

    def __init__(self, folder, port, lease_ms=0):
        self.folder, self.port, self.lease_ms = folder, port, lease_ms
        self.name = "torc-lease" if lease_ms else "torc"
        self.started = False

    def start(self):
        command = [ADMIN, "dev", "up", "--detach", "--no-load", "--dir", self.folder, "--port", str(self.port)]
        self.started = True
        lease = ["--lease", str(self.lease_ms)] if self.lease_ms else []
        run(command + lease, 120, counting(f"{self.folder}-syncs"))
        with open(os.path.join(self.folder, "cluster.json"), encoding="utf-8") as stream:
            self.cluster = json.load(stream)["cluster"]

    def processes(self):
        return json.loads(run([ADMIN, "dev", "ps", "--json", "--dir", self.folder]))

    def pids(self):
        listed = self.processes()
        for one in listed:
            if one["state"] != "running":
                raise Failure(f"{self.name}: {one['id']} is {one['state']}: {one['log']}")
        return [one["pid"] for one in listed]

    def syncs(self):
        # Their status tells what they have counted, but only now and then.
        return {
            one["id"]: counted(f"{self.folder}-syncs", one["pid"])
            for one in self.processes()
            if one["id"].startswith("s")
        }

    def clients(self):
        ports = ",".join(str(self.port + i) for i in (1, 2, 3))
        router = [LOAD, "--backend", "resp", "--ports", str(self.port)]
        if self.lease_ms:
            return [Client(self, "torc-lease", router, ops=("get",))]
        library = [LOAD, "--backend", "libtorc", "--cluster", self.cluster, "--ports", ports]
        return [Client(self, "torc", router), Client(self, "torc-libtorc", library)]

    def fill(self, data):
        run([LOAD, "--backend", "resp", "--ports", str(self.port)] + FILL + data)

    def settle(self):
        # Its storage flushes and compacts by itself; there is no command for it.
        wait_until_quiet(self.pids())

    def stop(self):
        # What could not even begin has nothing to end, and says so itself.
        if self.started and os.path.exists(os.path.join(self.folder, "cluster.json")):
            run([ADMIN, "dev", "down", "--dir", self.folder], 60)
            self.started = False


class Etcd:
    """Three members, durable as they come."""

    name = "etcd"

    def __init__(self, folder, port, go_client):
        self.folder, self.port, self.go_client = folder, port, go_client
        self.members = []

    def start(self):
        os.makedirs(self.folder)
        cluster = ",".join(f"m{i}=http://127.0.0.1:{self.port + 2 * i + 1}" for i in range(3))
        for i in range(3):
            client, peer = (f"http://127.0.0.1:{self.port + 2 * i + j}" for j in (0, 1))
            command = ["etcd", "--name", f"m{i}", "--data-dir", f"{self.folder}/m{i}", "--log-level", "error"]
            command += ["--logger", "zap", "--listen-client-urls", client, "--advertise-client-urls", client]
            command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            command += ["--initial-cluster", cluster, "--initial-cluster-state", "new"]
            # Room for all revisions of a round; it changes nothing else.
            command += ["--quota-backend-bytes", str(8 << 30)]
            self.members.append(Process(command, f"{self.folder}/m{i}.log"))
        wait_until(lambda: self.leader() is not None, "etcd has a leader")

    def control(self, *arguments, endpoints=(0, 1, 2), limit=600):
        addresses = ",".join(f"127.0.0.1:{self.port + 2 * i}" for i in endpoints)
        env = {"ETCDCTL_API": "3"}
        command = ["etcdctl", "--command-timeout", f"{limit}s", "--endpoints", addresses]
        return run(command + list(arguments), limit + 10, env)

    def leader(self):
        try:
            answers = json.loads(self.control("endpoint", "status", "-w", "json", limit=5))
        except Failure:
            return None
        for one in answers:
            status = one["Status"]
            if status.get("leader", 0) != 0 and status["leader"] == status["header"]["member_id"]:
                return int(one["Endpoint"].rpartition(":")[2])
        return None

    def pids(self):
        return [member.pid for member in self.members]

    def syncs(self):
        wanted = ("etcd_disk_wal_fsync_duration_seconds_count", "etcd_disk_backend_commit_duration_seconds_count")
        counts = {}
        for i in range(3):
            url = f"http://127.0.0.1:{self.port + 2 * i}/metrics"
            with urllib.request.urlopen(url, timeout=10) as answer:
                lines = answer.read().decode().splitlines()
            values = [float(line.split()[1]) for line in lines if line.split(" ")[0] in wanted]
            if len(values) != len(wanted):
                raise Failure(f"{url} does not count its syncs")
            counts[f"m{i}"] = int(sum(values))
        return counts

    def clients(self):
        port = str(self.leader())
        own = [LOAD, "--backend", "etcd", "--ports", port]
        return [Client(self, "etcd-c", own), Client(self, "etcd-go", [self.go_client, "--port", port])]

    def fill(self, data):
        # 256 under way: it batches, and the load is not what is measured.
        fill = ["--op", "fill", "--clients", "64", "--pipeline", "16"]
        run([LOAD, "--backend", "etcd", "--ports", str(self.leader())] + fill + data)

    def settle(self):
        answers = json.loads(self.control("endpoint", "status", "-w", "json"))
        revision = max(one["Status"]["header"]["revision"] for one in answers)
        self.control("compact", "--physical", str(revision), endpoints=(0,))
        for i in range(3):
            self.control("defrag", endpoints=(i,))
        wait_until(lambda: self.leader() is not None, "etcd has a leader")
        # Its members never come to rest altogether: they tick.
        time.sleep(QUIET_SECONDS)

    def stop(self):
        for member in self.members:
            member.end()
        self.members = []


class Redis:
    """A cluster of three masters and three replicas; every write is synced before its answer."""

    name = "redis"

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.nodes = []

    def ports(self):
        return [self.port + i for i in range(6)]

    def start(self):
        for i, port in enumerate(self.ports()):
            folder = f"{self.folder}/n{i}"
            os.makedirs(folder)
            command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
            command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
            command += ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
            self.nodes.append(Process(command, f"{folder}/log", counting(f"{self.folder}/syncs")))
        for i in range(6):
            wait_until(lambda i=i: self.answers(i), f"Redis node {i} answers")
        addresses = [f"127.0.0.1:{port}" for port in self.ports()]
        run(["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"])
        wait_until(self.settled, "Redis Cluster is whole")

    def ask(self, index, *words):
        return run(["redis-cli", "-p", str(self.port + index), *words], 30)

    def answers(self, index):
        try:
            return "PONG" in self.ask(index, "ping")
        except Failure:
            return False

    def settled(self):
        for i in range(6):
            if "cluster_state:ok" not in self.ask(i, "cluster", "info"):
                return False
            replication = self.ask(i, "info", "replication")
            if "role:slave" in replication:
                if "master_link_status:up" not in replication:
                    return False
            elif "connected_slaves:1" not in replication:
                return False
        return True

    def pids(self):
        return [node.pid for node in self.nodes]

    def syncs(self):
        return {f"n{i}": counted(f"{self.folder}/syncs", node.pid) for i, node in enumerate(self.nodes)}

    def command(self):
        return [LOAD, "--backend", "redis-cluster", "--ports", ",".join(map(str, self.ports()))]

    def clients(self):
        return [Client(self, "redis", self.command(), wait=True)]

    def fill(self, data):
        run(self.command() + FILL + data)

    def settle(self):
        for i in range(6):
            self.ask(i, "bgrewriteaof")
        wait_until(self.rewritten, "Redis has rewritten its files", 300)
        wait_until(self.settled, "Redis Cluster is whole")
        wait_until_quiet(self.pids())

    def rewritten(self):
        infos = [self.ask(i, "info", "persistence") for i in range(6)]
        return all(
            "aof_rewrite_in_progress:0" in info and "aof_rewrite_scheduled:0" in info for info in infos
        )

    def stop(self):
        for node in self.nodes:
            node.end()
        self.nodes = []
