#!/usr/bin/env python3
"""Wiping survives optimisation: secure_zero_code.py OBJDUMP OBJECT

After the call of use(), the function with secure_zero stores to the stack or calls memset; the one
with plain memset does neither, which shows that the compiler would have removed it.
"""
import re
import subprocess
import sys


def wipes(lines):
    """Whether the instructions behind the call of use() write to the stack."""
    calls = [index for index, line in enumerate(lines) if re.search(r"\b(call|jmp)q?\b", line)]
    behind = lines[calls[0] + 1:]
    store = re.compile(r"\bv?mov\w*\s+(%[xyz]mm\d+|\$0x0),\s*-?\w*\(%r[sb]p")
    return any(store.search(line) or "memset" in line or "stos" in line for line in behind)


def main():
    objdump, code = sys.argv[1:3]
    text = subprocess.run([objdump, "-dr", "--no-show-raw-insn", code], check=True,
                          capture_output=True, text=True).stdout
    functions = dict(re.findall(r"<(_Z\w+)>:\n((?:.+\n)+)", text))
    secure = next(body for name, body in functions.items() if "with_secure_zero" in name)
    plain = next(body for name, body in functions.items() if "with_memset" in name)
    if not wipes(secure.splitlines()):
        sys.exit("the wiping by secure_zero is gone:\n" + secure)
    if wipes(plain.splitlines()):
        sys.exit("plain memset was kept, so this test proves nothing:\n" + plain)
    print("secure_zero stores, plain memset does not")


main()
