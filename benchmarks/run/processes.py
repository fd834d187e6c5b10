"""Processes of the run: each is started here and ended here, by its id."""

import ctypes
import os
import signal
import subprocess
import time

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """What ends the run, in words for whoever started it."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A server; its output goes to a log. It ends with the run, also when the run is killed."""

    def __init__(self, command, log, env=None):
        self.log = log
        with open(log, "ab") as stream:
            # A session of its own: Ctrl-C is for the run, which then ends its servers in order.
            self.child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def end(self):
        if not self.alive():
            return
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def run(command, limit=600, env=None):
    """The output of a program that must succeed."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, check=False, env={**os.environ, **(env or {})}
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{command[0]} took over {limit} s: {' '.join(command)}") from None
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-1000:]}{done.stdout[-500:]}")
    return done.stdout


def wait_until(condition, what, limit=60.0):
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {limit:.0f} s")
        time.sleep(0.1)


def stat_fields(pid):
    """Fields of /proc/PID/stat from the third on (names may hold blanks and brackets)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
        return stream.read().rpartition(") ")[2].split()


def cpu_seconds(pids):
    """User and system time of the processes, all threads."""
    total = 0
    for pid in pids:
        try:
            fields = stat_fields(pid)
        except OSError:
            raise Failure(f"server process {pid} ended in the middle") from None
        total += int(fields[11]) + int(fields[12])
    return total / TICKS_A_SECOND


def stay_on(pids, cpus):
    """Every thread of the processes stays on these CPUs."""
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            try:
                os.sched_setaffinity(int(thread), cpus)
            except ProcessLookupError:
                pass  # A thread that ended meanwhile.


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptor_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def disk_bytes(folder):
    """What the files take, in blocks; those that go away meanwhile are left out."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                pass
    return total
