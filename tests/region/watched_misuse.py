"""Misuse is reported by what watches, and right use is not: watched_misuse.py PROGRAM asan|valgrind"""
import shutil
import subprocess
import sys

CASES = ["arena_overflow", "arena_after_reset", "arena_after_rollback", "arena_after_free",
         "arena_large_overflow", "arena_large_after_free", "pool_after_free",
         "shared_pool_after_free", "stack_after_free"]
REPORTS = {"asan": "use-after-poison", "valgrind": "Invalid write of size 1"}


def run(program, watcher, case):
    command = [program, case]
    if watcher == "valgrind":
        command = ["valgrind", "--error-exitcode=9", "--quiet", *command]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60)


def main(program, watcher):
    if watcher == "valgrind" and not shutil.which("valgrind"):
        print("SKIP: valgrind is not installed")
        return 77
    good = run(program, watcher, "good")
    if good.returncode != 0:
        print(f"right use: status {good.returncode}\n{good.stderr}")
        return 77 if good.returncode == 77 else 1
    for case in CASES:
        ended = run(program, watcher, case)
        if ended.returncode == 0 or REPORTS[watcher] not in ended.stderr:
            print(f"{case}: status {ended.returncode}, expected {REPORTS[watcher]!r} in\n{ended.stderr}")
            return 1
    print(f"{len(CASES)} mistakes reported by {watcher}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
