#!/usr/bin/env python3
"""Run every misuse and look at its report: expect_report.py abort|report PRELOAD PROGRAM [CASE...]

abort: the program must die of SIGABRT. report: it must go on and end with 3, its heap still sound.
In both the report on standard error names the address that was freed. PRELOAD is - for none.
"""
import os
import signal
import subprocess
import sys


def run(program, case, environment):
    return subprocess.run([program, case], env=environment, capture_output=True, text=True,
                          timeout=60)


def problem_of(ended, mode):
    address = ended.stdout.split("\n")[0]
    wanted = -signal.SIGABRT if mode == "abort" else 3
    if ended.returncode != wanted:
        return f"ended with {ended.returncode}, not {wanted}; {ended.stderr!r}"
    reports = [line for line in ended.stderr.splitlines() if line.startswith("acre: ")]
    if not any(address in line for line in reports):
        return f"no report names {address}: {ended.stderr!r}"
    return None


def main():
    mode, preload, program = sys.argv[1:4]
    environment = dict(os.environ, ACRE_OPTIONS=f"on_misuse={mode}")
    listed = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    if preload != "-":
        environment["LD_PRELOAD"] = preload
    else:  # Only the preloaded library looks back when the program ends.
        listed = [case for case in listed if not case.endswith("_seen_at_exit")]
    failed = 0
    for case in sys.argv[4:] or listed:
        problem = problem_of(run(program, case, environment), mode)
        print(f"{'FAILED' if problem else 'ok':6} {case}{': ' + problem if problem else ''}")
        failed += problem is not None
    sys.exit(failed != 0)


main()
