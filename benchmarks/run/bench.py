#!/usr/bin/python3
"""./dev bench: torc beside etcd and Redis Cluster. benchmarks/README.md says what is run and why."""

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import figures  # noqa: E402
import plot  # noqa: E402
from processes import Failure, cpu_seconds, run, stay_on  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PEERS = ("torc", "torc-libtorc", "torc-lease", "etcd", "redis")
OPS = ("set", "get", "mix")
CLIENTS, PIPELINES, CHOICES = (1, 16, 64, 256), (1, 16), ("uniform", "zipf")
LEASE_MS = 1000
PROBE_SECONDS = 2
# From --port on; Redis's cluster bus has ports 10,000 higher, which must not be ephemeral ones.
PORT_DEFAULT, PORT_MAX, PORTS = 21300, 22000, {"torc": 0, "torc-lease": 10, "etcd": 20, "redis": 30}
PORT_COUNT, REDIS_BUS = 40, 10000
MEMORY_ONLY = ("tmpfs", "ramfs", "overlay")


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


positive.__name__ = "number over 0"


def port(text):
    number = int(text)
    if not 1024 <= number <= PORT_MAX:
        raise ValueError(text)
    return number


port.__name__ = f"port from 1024 to {PORT_MAX}"


def only(text):
    """"set,get,64,x16,uniform": by dimension, what is wanted of it."""
    wanted = {"peer": set(), "op": set(), "clients": set(), "pipeline": set(), "choice": set(), "pinned": set()}
    for word in text.split(","):
        if word in PEERS:
            wanted["peer"].add(word)
        elif word in OPS:
            wanted["op"].add(word)
        elif word in CHOICES:
            wanted["choice"].add(word)
        elif word == "pinned":
            wanted["pinned"].add(True)
        elif word.startswith("x") and word[1:].isdigit() and int(word[1:]) in PIPELINES:
            wanted["pipeline"].add(int(word[1:]))
        elif word.isdigit() and int(word) in CLIENTS:
            wanted["clients"].add(int(word))
        else:
            raise argparse.ArgumentTypeError(
                f"{word!r}: there are {', '.join(PEERS + OPS + CHOICES)}, pinned, numbers of clients"
                f" ({', '.join(map(str, CLIENTS))}) and pipelines ({', '.join(f'x{p}' for p in PIPELINES)})"
            )
    return wanted


def parser():
    made = argparse.ArgumentParser(
        prog="./dev bench",
        description="torc, etcd and Redis Cluster side by side, interleaved: ops/s, latency, server CPU,"
        " syncs, ratios. benchmarks/README.md says how to read it.",
        allow_abbrev=False,
    )
    made.add_argument("--quick", action="store_true", help="fewer keys and cases, one round: does it work at all")
    made.add_argument("--only", type=only, metavar="WORD,...", help="of peers, operations, clients, xPIPELINE, choices, pinned")
    made.add_argument("--json", metavar="FILE", help="results here, and the picture beside it (DIR/bench.json)")
    made.add_argument("--keep", action="store_true", help="keep the servers' data and logs")
    made.add_argument("--dir", default=".bench", help="data of all servers, on a real disk (.bench)")
    made.add_argument("--port", type=port, default=PORT_DEFAULT, help=f"first of 40 ports ({PORT_DEFAULT})")
    made.add_argument("--rounds", type=positive, help="(3)")
    made.add_argument("--seconds", type=positive, help="of one measurement (5)")
    made.add_argument("--keys", type=positive, help="(1000000)")
    made.add_argument("--value", type=positive, default=256, help="bytes (256)")
    made.add_argument("--cpu", type=int, default=0, metavar="N", help="where pinned cases run, servers and client (0)")
    made.add_argument("--micro", action="store_true", help="instead: what the parts cost, without servers")
    made.add_argument("--soak", type=positive, metavar="MINUTES", help="instead: torc alone under load; does anything grow?")
    return made


def read_options(arguments):
    made = parser()
    options = made.parse_args(arguments)
    if options.micro and (options.soak or options.only or options.quick or options.json):
        made.error("--micro goes with no other option")
    if options.soak and (options.only or options.quick):
        made.error("--soak goes with neither --only nor --quick")
    if not 24 <= options.value <= 8192:
        made.error("--value: from 24 to 8192")
    if options.cpu not in os.sched_getaffinity(0):
        made.error(f"--cpu: there is no CPU {options.cpu} to run on")
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1 if options.quick else 5)
    options.keys = options.keys or (50000 if options.quick else 1000000)
    return options


def cases(options):
    """In the order in which they run."""
    wanted = options.only or {}

    def asked(name, value):
        return not wanted.get(name) or value in wanted[name]

    listed = []
    for op in ("set", "get"):
        listed.append({"op": op, "clients": 1, "pipeline": 1, "choice": "uniform", "pinned": True})
    for choice in CHOICES[:1] if options.quick else CHOICES:
        for pipeline in PIPELINES:
            for clients in (1, 64) if options.quick else CLIENTS:
                for op in OPS:
                    case = {"op": op, "clients": clients, "pipeline": pipeline, "choice": choice, "pinned": False}
                    listed.append(case)
    return [case for case in listed if all(asked(name, value) for name, value in case.items())]


def file_system_of(folder):
    best = ("", "?", "?")
    with open("/proc/mounts", encoding="utf-8") as stream:
        for mount in stream:
            device, at, kind = mount.split()[:3]
            inside = os.path.commonpath([os.path.realpath(folder), at]) == at
            if inside and len(at) >= len(best[0]):
                best = (at, kind, device)
    return best


def first_line(command, env=None):
    try:
        lines = run(command, 20, env).splitlines()
    except (Failure, OSError):
        return "?"
    return lines[0] if lines else "?"


def machine(options):
    models = set()
    with open("/proc/cpuinfo", encoding="utf-8") as stream:
        for line in stream:
            if line.startswith("model name"):
                models.add(line.partition(":")[2].strip())
    at, kind, device = file_system_of(options.dir)
    commit = first_line(["git", "rev-parse", "--short", "HEAD"])
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], check=False, capture_output=True).returncode != 0
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit + ("+changes" if changed else ""),
        "cpus": os.cpu_count(),
        "cpu": ", ".join(sorted(models)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": platform.release(),
        "file_system": f"{kind} on {device}, at {at}",
        "load_before": os.getloadavg()[0],
        "etcd": first_line(["etcd", "--version"]),
        "redis": first_line(["redis-server", "--version"]),
    }


class Run:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.data = ["--keys", str(options.keys), "--value", str(options.value)]
        self.measurements, self.probes, self.servers = [], [], []
        self.seed = 0

    def wants(self, *peers):
        asked = (self.options.only or {}).get("peer")
        return not asked or any(peer in asked for peer in peers)

    def make_servers(self, round_number, wanted_cases):
        from servers import Etcd, Redis, Torc

        base, at = self.options.port, f"{self.folder}/round{round_number}"
        made = []
        if self.wants("torc", "torc-libtorc"):
            made.append(Torc(f"{at}/torc", base + PORTS["torc"]))
        if self.wants("torc-lease") and any(case["op"] == "get" for case in wanted_cases):
            made.append(Torc(f"{at}/torc-lease", base + PORTS["torc-lease"], LEASE_MS))
        if self.wants("etcd"):
            made.append(Etcd(f"{at}/etcd", base + PORTS["etcd"], self.options.go_client))
        if self.wants("redis"):
            made.append(Redis(f"{at}/redis", base + PORTS["redis"]))
        return made

    def start(self, round_number, wanted_cases):
        os.makedirs(f"{self.folder}/round{round_number}")
        self.servers = self.make_servers(round_number, wanted_cases)
        for server in self.servers:
            say(f"round {round_number}: {server.name}: start, load {self.options.keys} keys")
            server.start()
            server.fill(self.data)
        for server in self.servers:
            say(f"round {round_number}: {server.name}: flush, compact")
            server.settle()

    def stop(self):
        """All of them, whatever one of them says."""
        failures = []
        for server in self.servers:
            try:
                server.stop()
            except Failure as failure:
                failures.append(str(failure))
        self.servers = []
        if failures:
            raise Failure("; ".join(failures))

    def command(self, client, case, seconds):
        self.seed += 1
        command = client.command + ["--op", case["op"], "--clients", str(case["clients"])]
        command += ["--pipeline", str(case["pipeline"]), "--choice", case["choice"]]
        command += ["--seconds", str(seconds), "--seed", str(self.seed)] + self.data
        if client.wait and case["op"] != "get":
            command += ["--wait"]
        if case["pinned"]:
            command = ["taskset", "--cpu-list", str(self.options.cpu)] + command
        return command

    def measure(self, client, case, round_number):
        pids = client.server.pids()
        syncs, cpu = client.server.syncs(), cpu_seconds(pids)
        said = json.loads(run(self.command(client, case, self.options.seconds), self.options.seconds + 60))
        cpu, after = cpu_seconds(pids) - cpu, client.server.syncs()
        if said["operations"] == 0:
            raise Failure(f"{client.name}: no operation was done: {figures.case_text(case)}")
        measurement = {**case, "peer": client.name, "round": round_number, **said}
        measurement["server_cpu_s_per_kop"] = cpu / said["operations"] * 1000
        measurement["syncs_s"] = {node: (after[node] - syncs[node]) / said["seconds"] for node in after}
        self.measurements.append(measurement)
        per_node = " ".join(f"{node}:{count:.0f}" for node, count in measurement["syncs_s"].items())
        say(
            f"{figures.case_text(case):32} {client.name:13} {said['ops_s']:10,.0f} ops/s  p50 {said['p50_us']:8,.0f}"
            f"  p99 {said['p99_us']:8,.0f} µs  CPU {measurement['server_cpu_s_per_kop']:.4f} s/1000"
            f"  syncs/s {per_node}" + (f"  ERRORS {said['errors']}" if said["errors"] else "")
        )

    def probe(self):
        probe = ["bazel-bin/benchmarks/load/sync-probe", f"{self.folder}/probe"]
        said = json.loads(run(probe + [str(PROBE_SECONDS), str(self.options.cpu)]))
        self.probes.append(said)
        say(f"{'append 4 KiB and fdatasync, pinned':46} {said['syncs'] / PROBE_SECONDS:10,.0f} /s     p50 {said['p50_us']:8,.0f}")

    def round(self, number, wanted_cases):
        self.start(number, wanted_cases)
        clients = [client for server in self.servers for client in server.clients()]
        clients = [client for client in clients if self.wants(client.name, client.server.name)
                   and (client.server.name != "torc" or self.wants(client.name))]
        for client in clients:  # Warm-up: caches, connections, leaders.
            case = {"op": client.ops[-1], "clients": 16, "pipeline": 1, "choice": "uniform", "pinned": False}
            run(self.command(client, case, 1))
        all_cpus = os.sched_getaffinity(0)
        turned = clients[number % len(clients) :] + clients[: number % len(clients)]
        pinned = [case for case in wanted_cases if case["pinned"]]
        for server in self.servers if pinned else []:
            stay_on(server.pids(), {self.options.cpu})
        for case in pinned:
            self.probe()
            self.one_case(turned, case, number)
        for server in self.servers if pinned else []:
            stay_on(server.pids(), all_cpus)
        for case in wanted_cases:
            if not case["pinned"]:
                self.one_case(turned, case, number)

    def one_case(self, clients, case, number):
        for client in clients:
            if case["op"] in client.ops:
                self.measure(client, case, number)

    def report(self, described):
        import statistics

        rows = figures.summarize(self.measurements)
        probe = statistics.median(one["p50_us"] for one in self.probes) if self.probes else None
        return {
            "machine": described,
            "settings": {
                "quick": self.options.quick,
                "rounds": self.options.rounds,
                "seconds": self.options.seconds,
                "keys": self.options.keys,
                "value": self.options.value,
                "lease_ms": LEASE_MS,
                "pinned_to": self.options.cpu,
            },
            "sync_probe_p50_us": probe,
            "bars": figures.bars(rows, probe),
            "ratios": figures.ratios(rows),
            "rows": rows,
            "measurements": self.measurements,
            "probes": self.probes,
        }


def say(words):
    print(words, flush=True)


def write_report(report, path):
    stem = path.removesuffix(".json")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(report, stream, indent=1)
    commit = report["machine"]["commit"]
    rounds = report["settings"]["rounds"]
    title = f"torc {commit} beside etcd and Redis Cluster, {rounds} round(s)" + (
        ", QUICK: no figures" if report["settings"]["quick"] else ""
    )
    with open(f"{stem}.svg", "w", encoding="utf-8") as stream:
        stream.write(plot.comparison(report["rows"], title))
    with open(f"{stem}.md", "w", encoding="utf-8") as stream:
        parts = [figures.bar_table(report["bars"]), figures.ratio_table(report["ratios"])]
        stream.write(f"# {title}\n\n" + "\n\n".join(parts + [figures.table(report["rows"])]) + "\n")
    say(figures.bar_table(report["bars"]))
    say(f"written: {path} {stem}.svg {stem}.md")


def compare(options, folder):
    wanted_cases = cases(options)
    if not wanted_cases:
        raise Failure("--only leaves nothing to run")
    described = machine(options)
    done = Run(options, folder)
    try:
        for number in range(1, options.rounds + 1):
            try:
                done.round(number, wanted_cases)
            except Failure as failure:
                # Before what may go wrong at the end on account of it.
                print(f"bench: {failure}", file=sys.stderr, flush=True)
                raise
            finally:
                done.stop()
                if not options.keep:
                    shutil.rmtree(f"{folder}/round{number}", ignore_errors=True)
    finally:
        # Of an interrupted run what there is.
        if done.measurements:
            write_report(done.report(described), options.json or os.path.join(options.dir, "bench.json"))
    return sum(one["errors"] for one in done.measurements) == 0


def check_ports(first):
    """Whatever else listens there would be taken for a server of this run, and be written to."""
    bus = range(first + PORTS["redis"] + REDIS_BUS, first + PORTS["redis"] + REDIS_BUS + 6)
    for number in [*range(first, first + PORT_COUNT), *bus]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError as error:
                raise Failure(
                    f"port {number}: {error.strerror}; does another run go on? --port takes others"
                ) from None


def prepare(options):
    if not options.micro:
        check_ports(options.port)
    what = "micro" if options.micro else "soak" if options.soak else "all"
    if subprocess.run(["tools/bench.sh", what, options.dir], check=False).returncode != 0:
        raise Failure("it cannot be built (above)")
    options.go_client = os.path.join(options.dir, "etcd-load")
    at, kind, _ = file_system_of(options.dir)
    if kind in MEMORY_ONLY and not options.micro:
        raise Failure(f"{options.dir} is on {kind} ({at}), and syncs there say nothing: --dir on a disk")


def work(options):
    os.makedirs(options.dir, exist_ok=True)
    prepare(options)
    if options.micro:
        return subprocess.run(["bazel-bin/benchmarks/micro/micro"], check=False).returncode == 0
    folder = tempfile.mkdtemp(prefix="run.", dir=os.path.abspath(options.dir))
    try:
        if options.soak:
            from soak import run_soak

            return run_soak(options, folder)
        return compare(options, folder)
    finally:
        if options.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def interrupted(number, frame):
    # Once: the end of the run is not to be interrupted too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments):
    options = read_options(arguments)
    os.chdir(ROOT)
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, interrupted)
    try:
        return 0 if work(options) else 1
    except Failure as failure:
        print(f"bench: not finished: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; all servers have ended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
