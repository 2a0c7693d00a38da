"""Objects, containers, big numbers, threads, forks, pickles and text, with one printed digest each."""
import concurrent.futures
import gc
import hashlib
import json
import multiprocessing
import os
import pickle
import re
import subprocess
import zlib


class Node:
    def __init__(self, value, parent):
        self.value, self.parent, self.children = value, parent, []


def tree(depth, parent=None):
    node = Node(depth, parent)
    if depth:
        node.children = [tree(depth - 1, node) for _ in range(3)]
    return node


def work(seed):
    words = [f"{seed * i % 1009}" * (i % 7) for i in range(20_000)]
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def digest(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def main():
    for _ in range(3):
        print(len(tree(8).children))
    print(gc.collect() > 0)
    table = {str(i): [i] * (i % 50) for i in range(50_000)}
    for key in list(table)[::3]:
        del table[key]
    print(digest(table), digest(json.loads(json.dumps(table))), digest(3**20_000 % 10**50))
    print(digest(pickle.loads(pickle.dumps(table))))
    text = "".join(table)
    print(len(zlib.compress(text.encode())), digest(re.findall(r"1\d*2", text)[:500]))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print([found[:8] for found in pool.map(work, range(8))])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print([found[:8] for found in pool.map(work, range(8))])
    print(subprocess.run(["/bin/echo", "child"], capture_output=True, text=True).stdout.strip())
    print(os.WEXITSTATUS(os.system("exit 3")))


main()
