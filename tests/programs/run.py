#!/usr/bin/env python3
"""Real programs give the same answers on Acre's heap: run.py NAME PRELOAD

Each case runs a program twice, plain and under the preload, and compares exit code and output. A
program that is not installed is a skip (exit code 77) with its reason.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT_S = 150
# Python's own tests wait and sleep for 80 s, and for two minutes on a busy machine.
SUITE_LIMIT_S = 300


class Skip(Exception):
    """Why this case cannot run here."""


def found(*names):
    """The first of these programs that is installed; /usr/bin before the rest of the path."""
    for name in names:
        if path := shutil.which(name, path="/usr/bin:/bin") or shutil.which(name):
            return path
    raise Skip(f"{names[0]} is not installed")


class Runner:
    """Runs commands in a folder of their own, with or without the preload."""

    def __init__(self, folder, preload):
        self.folder = Path(folder)
        self.environment = dict(os.environ, LC_ALL="C.UTF-8", HOME=str(folder), TZ="UTC")
        self.environment.pop("LD_PRELOAD", None)
        if preload:
            self.environment["LD_PRELOAD"] = preload

    def run(self, *command, stdin=None, environment=None, limit_s=LIMIT_S):
        try:
            return subprocess.run([str(word) for word in command], cwd=self.folder, input=stdin,
                                  env=self.environment | (environment or {}), timeout=limit_s,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        except subprocess.TimeoutExpired as late:
            said = late.stdout or ""
            said = said if isinstance(said, str) else said.decode(errors="replace")
            raise SystemExit(f"{command[0]} did not end in {limit_s} s; it said\n{said[-3000:]}")

    def said(self, *command, **options):
        """Exit code and output, to be compared; a preload that was not loaded is a failure."""
        ended = self.run(*command, **options)
        if "cannot be preloaded" in ended.stdout:
            raise SystemExit(f"{command}: {ended.stdout}")
        return f"{ended.returncode}\n{ended.stdout}"


def bash(runner):
    return runner.said(found("bash"), HERE / "cases/words.sh")


def perl(runner):
    return runner.said(found("perl"), HERE / "cases/words.pl")


def python(runner):
    return runner.said(found("python3"), "-I", HERE / "cases/objects.py")


def pool_hung(said):
    """Whether a race of Python 3.11's own hit: a pool that is terminated while it replaces a worker
    may wait for ever for a lock that the new worker holds. On two busy cores with glibc's malloc 3
    of 1200 pools hung so. What else hangs or fails in the file is not retried."""
    crashed = set(re.findall(r"(\w+) crashed \(", said))
    return "Timeout (" in said and "_help_stuff_finish" in said and len(crashed) == 1


def python_suite(runner):
    """Part of Python's own tests; their times and temporary names differ from run to run."""
    interpreter = found("python3")
    plain = {"LD_PRELOAD": ""}
    wanted = ["test_list", "test_dict", "test_json", "test_threading"]
    if runner.run(interpreter, "-c", "import test.test_list", environment=plain).returncode != 0:
        raise Skip("the package libpython3-testsuite is not installed")
    # Its tests listen at localhost, and hang where a machine lacks that name.
    fork_test = "test_multiprocessing_fork"
    attempt = f"import socket; socket.getaddrinfo('localhost', 0); import test.{fork_test}"
    tried = runner.run(interpreter, "-c", attempt, environment=plain)
    if tried.returncode == 0:
        wanted.append(fork_test)
    else:
        print(f"without {fork_test}: {tried.stdout.splitlines()[-1]}")
    suite = [interpreter, "-m", "test", "--timeout", SUITE_LIMIT_S - 60, "-j2"]
    ended = runner.run(*suite, *wanted, limit_s=SUITE_LIMIT_S)
    if pool_hung(ended.stdout):
        print("Pool.terminate hung; once more")
        ended = runner.run(*suite, fork_test, limit_s=SUITE_LIMIT_S)
    result = re.search(r"(Result|Tests result): \w+", ended.stdout)
    failed = re.findall(r"^(test_\w+) failed", ended.stdout, re.M)
    if ended.returncode != 0:
        print(ended.stdout[-3000:])
    return f"{ended.returncode} {result and result[0]} {sorted(failed)}"


def git(runner):
    return runner.said(found("bash"), HERE / "cases/history.sh", found("git"))


def sqlite3(runner):
    return runner.said(found("sqlite3"), ":memory:", stdin=(HERE / "cases/tables.sql").read_text())


def cxx(runner):
    """The compiler gives the same object file, byte for byte, and the same program."""
    compiler = found("g++")
    said = runner.said(compiler, "-std=c++20", "-O1", "-c", HERE / "cases/templates.cpp",
                       "-o", "templates.o")
    said += runner.said("sha256sum", "templates.o")
    said += runner.said(compiler, "templates.o", "-o", "templates")
    return said + runner.said("./templates")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def redis(runner):
    server_path, cli, benchmark = found("redis-server"), found("redis-cli"), found("redis-benchmark")
    port = str(free_port())
    server = subprocess.Popen([server_path, "--port", port, "--bind", "127.0.0.1", "--save", ""],
                              cwd=runner.folder, env=runner.environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if runner.run(cli, "-p", port, "ping").stdout == "PONG\n":
                break
            time.sleep(0.05)
        load = runner.run(benchmark, "-p", port, "-n", 20000, "-c", 20, "-q", "-r", 5000, "-d", 200,
                          "-t", "set,get,incr,lpush,rpop,sadd,hset,zadd,mset")
        commands = (HERE / "cases/commands.redis").read_text()
        said = f"{load.returncode}\n" + runner.said(cli, "-p", port, stdin=commands)
        # A background save forks the server while its other threads live.
        said += runner.said(cli, "-p", port, "save")
        runner.run(cli, "-p", port, "bgsave")
        runner.run(cli, "-p", port, "shutdown", "nosave")
        return f"{said}server ended with {server.wait(timeout=20)}\n"
    finally:
        server.kill()
        server.wait()


def node(runner):
    return runner.said(found("node", "nodejs"), HERE / "cases/objects.js")


def java(runner):
    """Compiled from source in memory when there is a compiler, else only the machine's own start."""
    machine = found("java")
    said = runner.said(machine, "-Xmx200m", "-Xshare:auto", "-XX:+UseSerialGC", "--version")
    if shutil.which("javac"):
        said += runner.said(machine, "-Xmx200m", HERE / "cases/Words.java")
    return said


def chromium(runner):
    browser = found("chromium", "chromium-browser", "google-chrome")
    ended = runner.run(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                       f"--user-data-dir={runner.folder}/profile", "--dump-dom",
                       (HERE / "cases/page.html").as_uri())
    page = ended.stdout[ended.stdout.find("<html"):]
    if ended.stdout.count("<li>") != 200 and "LD_PRELOAD" not in runner.environment:
        raise Skip("the browser does not run here")
    return f"{ended.returncode}\n{page[:page.find('</html>') + 7]}"


CASES = {"bash": bash, "perl": perl, "python": python, "python_suite": python_suite, "git": git,
         "sqlite3": sqlite3, "cxx": cxx, "redis": redis, "node": node, "java": java,
         "chromium": chromium}
# A long run that tells by itself whether it went well; the plain run is only needed when it did not.
JUDGES_ITSELF = ("python_suite",)


def difference(plain, preloaded):
    plain, preloaded = plain.splitlines(), preloaded.splitlines()
    for number, (expected, got) in enumerate(zip(plain, preloaded), 1):
        if expected != got:
            return f"line {number}: plain {expected!r}, under the preload {got!r}"
    return f"{len(plain)} lines plain, {len(preloaded)} under the preload"


def main():
    name, preload = sys.argv[1:3]
    said = []
    for library in (preload, None):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            try:
                said.append(CASES[name](Runner(folder, library)))
            except Skip as reason:
                print(f"SKIP: {reason}")
                sys.exit(77)
            print(f"{'preload' if library else 'plain'}: {time.monotonic() - start:.1f} s")
        if name in JUDGES_ITSELF and said[0].startswith("0"):
            return
    preloaded, plain = said
    if plain != preloaded:
        sys.exit(f"{name} differs: {difference(plain, preloaded)}")
    if not plain.startswith("0"):
        sys.exit(f"{name} fails by itself: {plain[:500]}")


main()
