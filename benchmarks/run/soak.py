"""One torc cluster under 64 clients for minutes: does anything grow?"""

import csv
import hashlib
import json
import os
import subprocess
import time

import figures
import plot
from processes import Failure, cpu_seconds, descriptor_count, die_with_parent, disk_bytes, resident_bytes
from servers import LOAD, Torc

SAMPLE_SECONDS = 10
CLIENTS = 64
COLUMNS = ("resident_mib", "descriptors", "disk_mib", "ops_s", "p50_us", "p99_us", "p999_us", "cpu_us", "probe_us")
# What may grow by how much between the second quarter and the last: shares, and a constant. The
# disk holds a log that is recycled and a state that is compacted, so it goes up and down.
LIMITS = (
    ("resident_mib", 0.10, 16, False),
    ("descriptors", 0, 4, False),
    ("disk_mib", 0.15, 64, False),
    ("p50_us", 0.25, 0, False),
    ("p99_us", 0.50, 0, False),
    ("ops_s", 0.20, 0, True),
    ("cpu_us", 0.20, 0, False),
    ("probe_us", 0.20, 0, False),
)
PROBE_BYTES = bytes(4 << 20)


def probe_us():
    """Processor time of the same piece of work each time: what the machine is worth just now. A guest is
    slower when its neighbours are busy, and nothing else here would tell that from a system that wears out."""
    began = time.process_time()
    hashlib.sha256(PROBE_BYTES).digest()
    bytearray(PROBE_BYTES)
    return (time.process_time() - began) * 1e6


def sample(torc, pids, report, began, cpu):
    mib = 1 << 20
    return {
        "seconds": round(time.monotonic() - began, 1),
        "resident_mib": sum(resident_bytes(pid) for pid in pids) / mib,
        "descriptors": sum(descriptor_count(pid) for pid in pids),
        "disk_mib": disk_bytes(torc.folder) / mib,
        "ops_s": report["ops_s"],
        "p50_us": report["p50_us"],
        "p99_us": report["p99_us"],
        "p999_us": report["p999_us"],
        "max_us": report["max_us"],
        "cpu_us": cpu / SAMPLE_SECONDS / report["ops_s"] * 1e6 if report["ops_s"] > 0 else 0,
        "probe_us": min(probe_us() for _ in range(3)),
        "errors": report["errors"],
    }


def watch(torc, minutes, data, stem):
    """Samples until the load ends; each is in the file at once."""
    command = [LOAD, "--backend", "resp", "--ports", str(torc.port), "--op", "mix", "--clients", str(CLIENTS)]
    command += ["--seconds", str(minutes * 60), "--report", str(SAMPLE_SECONDS)] + data
    pids, samples, began = torc.pids(), [], time.monotonic()
    cpu = cpu_seconds(pids)
    with open(f"{stem}.csv", "w", newline="", encoding="utf-8") as stream:
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        ended = False
        try:
            for line in load.stdout:
                report = json.loads(line)
                if report["seconds"] < SAMPLE_SECONDS / 2:
                    continue  # What was left at the end.
                before, cpu = cpu, cpu_seconds(pids)
                samples.append(sample(torc, pids, report, began, cpu - before))
                if len(samples) == 1:
                    writer = csv.DictWriter(stream, samples[0].keys())
                    writer.writeheader()
                writer.writerow(samples[-1])
                stream.flush()
                print("  ".join(f"{name} {figures.number(samples[-1][name])}" for name in COLUMNS), flush=True)
            ended = True
        finally:
            if not ended:
                load.terminate()
            load.wait()
    if load.returncode != 0:
        raise Failure(f"the load ended with {load.returncode}: an answer was missing or a server ended")
    torc.pids()  # All of them still run.
    return samples


def judge(samples):
    verdicts = [figures.level(samples, name, share, slack, falling) for name, share, slack, falling in LIMITS]
    errors = sum(one["errors"] for one in samples)
    verdicts.append({"name": "errors", "early": 0, "late": errors, "verdict": "none" if errors == 0 else "SOME"})
    return verdicts


def run_soak(options, folder):
    """Whether all is level. Files: STEM.csv, STEM.svg, STEM.json."""
    stem = options.json.removesuffix(".json") if options.json else os.path.join(options.dir, "soak")
    torc = Torc(f"{folder}/torc", options.port)
    data = ["--keys", str(options.keys), "--value", str(options.value)]
    try:
        torc.start()
        torc.fill(data)
        torc.settle()
        samples = watch(torc, options.soak, data, stem)
    finally:
        torc.stop()
    if not samples:
        raise Failure("no sample was taken")
    verdicts = judge(samples)
    with open(f"{stem}.svg", "w", encoding="utf-8") as stream:
        stream.write(plot.series(samples, COLUMNS, f"torc, {CLIENTS} clients, half SET half GET"))
    with open(f"{stem}.json", "w", encoding="utf-8") as stream:
        json.dump({"minutes": options.soak, "verdicts": verdicts, "samples": samples}, stream, indent=1)
    for one in verdicts:
        values = f": {figures.number(one['early'])} -> {figures.number(one['late'])}" if "early" in one else ""
        print(f"{one['name']}{values}: {one['verdict']}")
    print(f"written: {stem}.csv {stem}.svg {stem}.json")
    return all(one["verdict"] in ("level", "none", "too short to say") for one in verdicts)
