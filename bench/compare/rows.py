"""The rows of the comparison: our workloads and real programs, each with fixed work."""
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import allocators
import measuring

PROGRAMS = os.path.join(allocators.ROOT, "bench", "programs")
sys.path.insert(0, PROGRAMS)
import inputs  # noqa: E402  (lies beside the programs' own inputs)


@dataclasses.dataclass
class Place:
    """Where things are: built benchmarks, generated inputs."""
    bench: str
    work: str

    @property
    def measure(self):
        return os.path.join(self.bench, "acre-measure")

    def input(self, name):
        return os.path.join(self.work, "inputs", name)


@dataclasses.dataclass
class Row:
    """`run(place, library)` returns what `measuring.run` does; `needs` is a program or None."""
    name: str
    kind: str
    run: object
    needs: str | None = None
    checked: bool = False  # the last output line must be the same under every allocator


def workload(name, label, *parameters):
    def run(place, library):
        program = os.path.join(place.bench, "acre-workloads")
        return measuring.run(place.measure, [program, name, *parameters], library,
                             keep_output=True)
    return Row(label, "workload", run, checked=True)


def threaded(name, *parameters, threads=(1, 2, 4)):
    """The same work for each thread, on 1, 2 and 4 of them."""
    return [workload(name, f"{name}-{count}", f"threads={count}", *parameters)
            for count in threads]


def program(name, command, stdin=None, extra=None, repeat=1):
    """A program on a fixed input; "@name" in the command is a generated input file."""
    def run(place, library):
        words = [place.input(word[1:]) if word.startswith("@") else word for word in command]
        return measuring.run(place.measure, words, library, stdin=stdin, extra=extra,
                             repeat=repeat, cwd=PROGRAMS)
    return Row(name, "program", run, needs=command[0])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_redis(place, library):
    """The server under the allocator, its clients without; the figures are the server's.

    Debian's server links jemalloc, so for glibc's column the C library is put first instead."""
    port = str(free_port())
    with tempfile.TemporaryDirectory() as folder:
        server = measuring.Measured(
            place.measure, ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                            "--appendonly", "no", "--dir", folder], library or "libc.so.6")
        client = ["-h", "127.0.0.1", "-p", port]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
                 "env": measuring.environment("")}
        for _ in range(200):
            if subprocess.run(["redis-cli", *client, "ping"], **quiet).returncode == 0:
                break
            time.sleep(0.02)
        served = True
        for what in (["-t", "set,get,incr,lpush,rpush,lpop,sadd,hset,zadd", "-n", "150000", "-r",
                      "100000", "-d", "100"],
                     ["-t", "set,get", "-n", "60000", "-r", "60000", "-d", "700"]):
            served = served and ended_well(["redis-benchmark", *client, "-q", "-P", "16", *what],
                                           quiet)
        subprocess.run(["redis-cli", *client, "shutdown", "nosave"], **quiet)
        used = server.finish()
        if not served and used["status"] == 0:
            used["status"] = 1
        return used


def ended_well(command, how):
    try:
        return subprocess.run(command, check=False, timeout=measuring.TIMEOUT_S, **how).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def run_rocksdb(place, library):
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        return measuring.run(place.measure, [
            "db_bench", f"--db={folder}", "--benchmarks=fillrandom,readrandom,overwrite,seekrandom",
            "--num=60000", "--value_size=200", "--write_buffer_size=4000000", "--disable_wal=1",
            "--threads=1", "--seed=1", "--compression_type=none"], library)


ROWS = [
    *threaded("larson"),
    *threaded("mixed", "steps=2000000", "slots=50000"),
    workload("mixed", "mixed-small-set", "slots=1000", "steps=8000000", "max=1024"),
    workload("mixed", "mixed-to-32k", "slots=4000", "steps=3000000", "max=32768"),
    *threaded("exchange", threads=(2, 4)),
    workload("cross-free", "cross-free-2", "pairs=1"),
    workload("cross-free", "cross-free-4", "pairs=2"),
    *threaded("ring-free", threads=(2, 4)),
    workload("ring-free", "ring-free-mixed-2", "threads=2", "min=16", "max=1000", "batches=1500"),
    *threaded("cache-scratch", threads=(2,)),
    *threaded("cache-thrash", threads=(2,)),
    workload("fragmentation", "fragmentation"),
    workload("shrink", "shrink"),
    workload("realloc-many", "realloc-many"),
    workload("realloc-one", "realloc-one", "limit_mb=512"),
    workload("large", "large-one", "live=1", "steps=250"),
    workload("large", "large-eight", "live=8", "steps=250"),
    workload("thread-churn", "thread-churn-2"),
    workload("bignum", "bignum"),
    *threaded("sh6-like", "passes=60", threads=(1, 4)),
    *threaded("sh8-like", threads=(2, 4)),
    *threaded("binary-trees", threads=(1, 2)),
    *threaded("string-map", threads=(1, 2)),
    *threaded("requests"),
    *threaded("zeroed", threads=(1,)),
    *threaded("batch", threads=(1, 2)),
    *threaded("aligned", threads=(1,)),
    program("startup", ["true"], repeat=100),
    program("python", ["python3", "churn.py", "5000", "10"]),
    program("python-malloc", ["python3", "churn.py", "5000", "10"],
            extra={"PYTHONMALLOC": "malloc"}),
    program("perl", ["perl", "churn.pl", "30000", "5"]),
    program("lua", ["lua5.4", "churn.lua", "20000", "15"]),
    program("sqlite", ["sqlite3", ":memory:"], stdin=os.path.join(PROGRAMS, "memory.sql")),
    program("g++", ["g++", "-std=c++20", "-c", "templates.cpp", "-o", "/dev/null"]),
    program("clang++", ["clang++-19", "-std=c++20", "-c", "templates.cpp", "-o", "/dev/null"]),
    program("z3", ["z3", "@constraints.smt2"]),
    program("jq", ["jq", "-c", "group_by(.address.city) | map({c: .[0].address.city, n: length, "
                   "t: (map(.tags) | add | unique), s: (map(.score) | add)}) | sort_by(.n)",
                   "@records.json"]),
    program("git-log", ["git", "-c", "safe.directory=*", "-C", "@repository.git", "log", "-p",
                        "--stat"]),
    program("sort", ["sort", "--parallel=2", "-S", "100M", "@lines.txt"]),
    Row("redis", "program", run_redis, needs="redis-server"),
    Row("rocksdb", "program", run_rocksdb, needs="db_bench"),
]

QUICK = ("larson-2 mixed-1 mixed-small-set exchange-2 cross-free-2 cross-free-4 ring-free-2 "
         "fragmentation realloc-many large-eight thread-churn-2 bignum sh6-like-1 sh8-like-2 "
         "binary-trees-1 string-map-1 requests-1 zeroed-1 startup python-malloc perl lua sqlite g++ "
         "redis").split()


def choose(names, quick):
    """The rows to run, and those left out with the reason."""
    wanted = names.split(",") if names else QUICK if quick else [row.name for row in ROWS]
    kinds = {"workloads": "workload", "programs": "program"}
    chosen, left_out, matched = [], {}, set()
    for row in ROWS:
        hits = {name for name in wanted
                if row.name == name or row.name.startswith(name + "-") or kinds.get(name) == row.kind}
        matched |= hits
        if not hits:
            continue
        if row.needs and not shutil.which(row.needs, path=measuring.environment("")["PATH"]):
            left_out[row.name] = f"{row.needs} is not installed"
        else:
            chosen.append(row)
    for name in set(wanted) - matched:
        raise SystemExit(f"compare: no row '{name}' (have: {', '.join(r.name for r in ROWS)})")
    return chosen, left_out


def prepare(place):
    inputs.prepare(os.path.join(place.work, "inputs"))
