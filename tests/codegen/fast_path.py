#!/usr/bin/env python3
"""malloc's and free's fast paths hold no locked instruction and no call: fast_path.py LIBRARY

The fast path is what runs from the function's start to its first return when no branch is taken,
and unconditional jumps are followed. A branch that is taken leads to a slow path, where both are
fine.
"""
import re
import shutil
import subprocess
import sys

FUNCTIONS = ("malloc", "free", "_Znwm", "_ZdlPv", "_ZdlPvm")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(?:[0-9a-f]{2} )+\s*\t?(.*)$")
SYMBOL = re.compile(r"^([0-9a-f]+) <(.+)>:$")
MOST = 60  # instructions; no fast path is longer


def disassemble(library):
    """Address to (instruction, next address), and symbol to address."""
    text = subprocess.run(["objdump", "-dw", library],
                          check=True, capture_output=True, text=True).stdout
    code, symbols, previous = {}, {}, None
    for line in text.splitlines():
        if match := SYMBOL.match(line):
            symbols[match[2]] = int(match[1], 16)
            previous = None
        elif match := INSTRUCTION.match(line):
            address = int(match[1], 16)
            if previous is not None:
                code[previous][1] = address
            code[address] = [match[2].split("#")[0].strip(), None]
            previous = address
    return code, symbols


def fast_path(code, address):
    for _ in range(MOST):
        if address not in code:
            raise SystemExit(f"no instruction at {address:#x}")
        text, following = code[address]
        yield text
        if text.startswith(("ret", "repz ret")):
            return
        jump = re.match(r"jmp\s+([0-9a-f]+)\b", text)
        address = int(jump[1], 16) if jump else following
    raise SystemExit(f"no return within {MOST} instructions")


def problem_of(text):
    if "lock " in text or re.match(r"xchg.*\(", text) or re.match(r"[ms]fence", text):
        return "a locked instruction"
    if text.startswith("call") or "syscall" in text:
        return "a call"
    if re.match(r"jmp\s+\*", text):
        return "an indirect jump"
    return None


def main():
    if not shutil.which("objdump"):
        print("SKIP: objdump is not installed")
        sys.exit(77)
    code, symbols = disassemble(sys.argv[1])
    failed = 0
    for name in FUNCTIONS:
        path = list(fast_path(code, symbols[name]))
        problems = [f"{problem}: {text}" for text in path if (problem := problem_of(text))]
        print(f"{name:10} {len(path)} instructions")
        print("".join(f"  {line}\n" for line in problems), end="")
        failed += bool(problems)
    sys.exit(failed != 0)


main()
