"""Makes the input files that are too large to keep: the same bytes every time, on every machine."""
import json
import os
import subprocess


def numbers(seed):
    """A plain linear congruential generator: no dependence on a library's own."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield state >> 33


def make_lines(path, count):
    source = numbers(1)
    with open(path, "w") as out:
        for _ in range(count):
            out.write("%d %s\n" % (next(source), "w" * (next(source) % 40)))


def make_json(path, count):
    source = numbers(2)
    records = [{"id": index, "name": "user %d" % next(source), "tags": ["t%d" % (next(source) % 90)
                for _ in range(next(source) % 6)], "score": next(source) % 1000,
                "address": {"city": "c%d" % (next(source) % 400), "zip": str(next(source))}}
               for index in range(count)]
    with open(path, "w") as out:
        json.dump(records, out)


def make_smt(path, variables, constraints, product):
    """Two problems for a solver: linear constraints over integers, and a factorization of bits."""
    source = numbers(5)

    def variable():
        return "x%d" % (next(source) % variables)

    def terms(count, span, shift):
        return " ".join(f"(* {next(source) % span - shift} {variable()})" for _ in range(count))

    lines = []
    for index in range(variables):
        lines.append(f"(declare-const x{index} Int) (assert (<= 0 x{index} 40))")
    for _ in range(constraints):
        lines.append(f"(assert (or (<= (+ {terms(5, 19, 9)}) {next(source) % 30})"
                     f" (>= {variable()} (+ 1 {variable()}))))")
    for _ in range(variables // 3):
        lines.append(f"(assert (distinct (+ {terms(4, 9, -1)}) {variable()}))")
    lines += ["(check-sat)", "(reset)"]
    for name in "xy":
        lines.append(f"(declare-const {name} (_ BitVec 36))"
                     f" (assert (bvult (_ bv1 36) {name})) (assert (bvult {name} (_ bv262144 36)))")
    lines += [f"(assert (= (bvmul x y) (_ bv{product} 36)))", "(check-sat)"]
    with open(path, "w") as out:
        out.write("\n".join(lines) + "\n")


def make_repository(path, commits, files):
    """A git repository with many small commits, through fast-import."""
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)
    source = numbers(3)
    stream = []
    for commit in range(commits):
        stream.append("commit refs/heads/main\ncommitter A <a@example.org> %d +0000\n"
                      "data 7\nchange\n\n" % (1700000000 + commit))
        for _ in range(4):
            lines = "".join("line %d\n" % (next(source) % 1000) for _ in range(80))
            stream.append("M 644 inline dir%d/file%d\ndata %d\n%s\n" % (
                next(source) % 12, next(source) % files, len(lines), lines))
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"], input="".join(stream).encode(),
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["git", "-C", path, "symbolic-ref", "HEAD", "refs/heads/main"], check=True)


def prepare(folder):
    """Makes what is missing in `folder`."""
    os.makedirs(folder, exist_ok=True)
    makers = {
        "lines.txt": lambda path: make_lines(path, 600000),
        "records.json": lambda path: make_json(path, 40000),
        "constraints.smt2": lambda path: make_smt(path, 40, 80, 4292870399),
        "repository.git": lambda path: make_repository(path, 2000, 60),
    }
    for name, make in makers.items():
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            make(path + ".new")
            os.rename(path + ".new", path)
