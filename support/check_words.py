#!/usr/bin/env python3
"""Fail on words that have no place in the tree: paths of one machine, and notes left unfinished."""
import re
import subprocess
import sys
from pathlib import Path

# Split, so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.])/(?:work|home/\w+|root|tmp/w)/|\." + r"library\b")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
CODE = ("src/", "include/", "tests/", "bench/", "fuzz/", "examples/", "scripts/", "support/", "cmake/")


def tracked(root):
    names = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True, capture_output=True).stdout
    return [name for name in names.decode().split("\0") if name]


def broken(root):
    for name in tracked(root):
        try:
            lines = (Path(root) / name).read_text().splitlines()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for number, line in enumerate(lines, 1):
            if found := MACHINE.search(line):
                yield f"{name}:{number}: a path of one machine: {found[0]}"
            if name.startswith(CODE) and (found := UNFINISHED.search(line)):
                yield f"{name}:{number}: unfinished: {found[0]}"


if __name__ == "__main__":
    errors = list(broken(sys.argv[1] if len(sys.argv) > 1 else "."))
    print("\n".join(errors) or "words: ok")
    sys.exit(bool(errors))
