#!/usr/bin/env python3
"""Checks in object code that secrets are wiped: wipe_codegen.py OBJDUMP COMPILER OBJECT:OBJECT...

1. The compiler, asked to optimise all it can, does remove a plain memset of memory that nobody reads
   afterwards: what is tested here can go wrong.
2. It does not remove the same thing done with explicit_bzero, which `acre::os::wipe` is made of.
3. In the objects of the library, each way on which a secret ends reaches `wipe`, and `wipe` reaches
   explicit_bzero.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROBE = r"""
#include <cstring>
void use(void *);
extern "C" void plain() { char key[32]; use(key); std::memset(key, 0, 32); }
extern "C" void lasting() { char key[32]; use(key); explicit_bzero(key, 32); }
"""
ENDS = ["acre::os::secret_memory::close", "acre::os::detail::secret_pool_body::give_back"]


def disassembled(objdump, path):
    """Name of each function -> its lines, relocations included."""
    text = subprocess.run([objdump, "-drC", "--no-show-raw-insn", path], check=True,
                          capture_output=True, text=True).stdout
    functions = {}
    for block in re.split(r"\n\n", text):
        head = re.match(r"[0-9a-f]+ <(.+)>:\n", block.lstrip("\n"))
        if head:
            functions[head[1]] = block
    return functions


def body_of(functions, name):
    return "\n".join(text for full, text in functions.items() if full.startswith(name))


def reaches(functions, start, goal, seen=None):
    """Whether code of functions named `start` mentions `goal`, through functions of its own object."""
    seen = set() if seen is None else seen
    text = body_of(functions, start)
    if goal in text.partition(":\n")[2]:
        return True
    seen.add(start)
    called = set(re.findall(r"<((?:acre::)[^+>]+)[^>]*>$", text, re.M))
    called |= set(re.findall(r"R_X86_64_\w+\s+(acre::[^\n]+?)(?:-0x\w+)?$", text, re.M))
    return any(reaches(functions, name, goal, seen) for name in called - seen if name in functions)


def probe(objdump, compiler):
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "probe.cpp"
        source.write_text(PROBE)
        made = Path(work) / "probe.o"
        subprocess.run([compiler, "-O3", "-c", "-o", made, source], check=True)
        return disassembled(objdump, made)


def main():
    objdump, compiler, objects = sys.argv[1:]
    wrong = []
    functions = probe(objdump, compiler)
    plain = functions["plain"]
    # A memset of 32 bytes becomes a cleared vector register and two stores, where it is not a call.
    if "memset" in plain or re.search(r"(v?pxor|v?xorps)", plain):
        wrong.append("a plain memset survives -O3 here, so the check proves nothing")
    if "explicit_bzero" not in functions["lasting"]:
        wrong.append("explicit_bzero does not survive -O3")
    library = {}
    for path in objects.split(":"):
        library |= disassembled(objdump, path)
    if "explicit_bzero" not in body_of(library, "acre::os::wipe"):
        wrong.append("acre::os::wipe does not reach explicit_bzero")
    for end in ENDS:
        if not body_of(library, end):
            wrong.append(f"{end} is not in the objects")
        elif not reaches(library, end, "acre::os::wipe"):
            wrong.append(f"{end} does not reach acre::os::wipe")
    print("\n".join(wrong) or "wipe: ok")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
