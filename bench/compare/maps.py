#!/usr/bin/env python3
"""How long `acre maps` takes on a process with many mappings: maps.py ACRE [MAPPINGS]

Interleaved with `pmap -X` and with reading /proc/PID/smaps alone, which is the kernel's part. Prints
medians of five runs, and ratios; ends with 1 when 60,000 mappings take a second or more.
"""
import mmap
import shutil
import statistics
import subprocess
import sys
import time

RUNS = 5
CODE = """
import ctypes, sys, time
c = ctypes.CDLL(None); c.mmap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
c.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
count, page = int(sys.argv[1]), int(sys.argv[2])
start = c.mmap(None, count * page, 3, 0x22, -1, 0)
ctypes.memset(start, 1, count * page)
for i in range(0, count, 2): c.mprotect(start + i * page, page, 1)
print("ready", flush=True)
time.sleep(600)
"""


def seconds(command):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main():
    acre = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 60000
    child = subprocess.Popen([sys.executable, "-c", CODE, str(count), str(mmap.PAGESIZE)],
                             stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        pid = str(child.pid)
        commands = {"reading smaps": ["cat", f"/proc/{pid}/smaps"], "acre maps": [acre, "maps", pid],
                    "acre maps --json": [acre, "maps", "--json", "-", pid]}
        if shutil.which("pmap"):
            commands["pmap -X"] = ["pmap", "-X", pid]
        times = {name: [] for name in commands}
        for _ in range(RUNS):
            for name, command in commands.items():
                times[name].append(seconds(command))
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            print(f"{len(file.readlines())} mappings, median of {RUNS} runs")
        least = statistics.median(times["reading smaps"])
        for name, values in times.items():
            median = statistics.median(values)
            spread = (max(values) - min(values)) / median * 100
            print(f"{name:<18}{median:8.3f} s {median / least:6.2f} x  +-{spread:.0f} %")
        sys.exit(statistics.median(times["acre maps"]) >= 1)
    finally:
        child.kill()
        child.wait()


main()
