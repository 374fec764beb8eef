"""Shared by all rows: starts and ends programs, measures their cost, and holds the results."""
import dataclasses
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from typing import Callable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".build-bench")
TICK = os.sysconf("SC_CLK_TCK")


class Invalid(Exception):
    """Something failed, so the figure would not be valid."""


class LeftOut(Exception):
    """The peer of the row is missing."""


@dataclasses.dataclass
class Goal:
    text: str
    holds: Callable[["Result"], bool]


def at_most_times(limit):
    """Ours is at most limit times the peer's."""
    return Goal("at most %g times the peer's" % limit, lambda result: result.ratio <= limit)


def at_most(limit, unit):
    return Goal("at most %g %s" % (limit, unit), lambda result: result.ours <= limit)


def at_least(limit, unit):
    return Goal("at least %g %s" % (limit, unit), lambda result: result.ours >= limit)


@dataclasses.dataclass
class Result:
    """Figures of interleaved rounds: ours and the peer's of each."""
    name: str
    pairs: list
    unit: str
    note: str = ""

    @property
    def ours(self):
        return statistics.median(pair[0] for pair in self.pairs)

    @property
    def peer(self):
        return statistics.median(pair[1] for pair in self.pairs)

    @property
    def ratios(self):
        return [ours / max(peer, 1e-9) for ours, peer in self.pairs]

    @property
    def ratio(self):
        return statistics.median(self.ratios)


@dataclasses.dataclass
class Row:
    name: str
    measures: str
    peer: str
    goal: Goal
    # Takes a Bench, returns Results.
    run: Callable[["Bench"], list]

    @property
    def sentence(self):
        return "%s, against %s; goal: %s." % (self.measures, self.peer, self.goal.text)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def cpu_seconds(process):
    """User and system time of a process so far."""
    fields = open("/proc/%d/stat" % process.pid).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(process, what):
    """Bytes of resident memory: VmRSS is now, VmHWM the peak."""
    return int(re.search(what + r":\s+(\d+)", open("/proc/%d/status" % process.pid).read()).group(1)) * 1024


class Bench:
    def __init__(self, rounds, seconds):
        """rounds of each measurement, and seconds of load in each."""
        self.rounds, self.seconds = rounds, seconds
        self.work = tempfile.mkdtemp(prefix="mitm-bench-")
        self.bin = os.environ.get("MITM_BIN") or subprocess.check_output(
            ["swift", "build", "-c", "release", "--show-bin-path"], cwd=ROOT, text=True).strip()
        self.started = []
        # Shared by the traffic rows; the first of them creates it (traffic.py).
        self.traffic = None
        # For a thousand connections on each side of a proxy.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def tool(self, name):
        return os.path.join(self.bin, name)

    def path(self, name):
        return os.path.join(self.work, name)

    # -- programs --------------------------------------------------------------------------------------------------------------------

    def start(self, command, port):
        """Starts a server program, and waits until it listens on a port."""
        log = self.path("stderr-%d" % len(self.started))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(log, "wb"))
        self.started.append(process)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return process
            except OSError:
                if process.poll() is not None:
                    break
                time.sleep(0.05)
        fate = "ended with status %d" % process.returncode if process.poll() is not None else "does not listen"
        raise Invalid("%s %s: %s" % (os.path.basename(command[0]), fate, open(log, errors="replace").read()[-300:]))

    def stop(self, process):
        """Ends a program, which must still be running. Returns its status."""
        if process.poll() is not None:
            raise Invalid("%s has ended with status %d" % (os.path.basename(process.args[0]), process.returncode))
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Invalid("%s did not end" % os.path.basename(process.args[0]))
        self.started.remove(process)
        return process.returncode

    def stop_all(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.started, self.traffic = [], None

    def close(self):
        self.stop_all()
        shutil.rmtree(self.work, ignore_errors=True)

    def clear(self):
        """After a failed row: discards the shared state, which the next row creates again."""
        self.stop_all()
        shutil.rmtree(self.work, ignore_errors=True)
        os.mkdir(self.work)

    @staticmethod
    def output(command, statuses=(0,)):
        """The standard output of a program."""
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode not in statuses:
            raise Invalid("%s: %s" % (os.path.basename(command[0]), (done.stderr or done.stdout)[-300:]))
        return done.stdout

    @staticmethod
    def cost(command):
        """User and system seconds of a command (a list, or a line for the shell). Its output is discarded."""
        shell = isinstance(command, str)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command] if shell else command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            raise Invalid("%s has ended with status %d: %s" % (command, done.returncode, done.stderr[-300:].decode(errors="replace")))
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
