"""Which allocators are there, and what to preload for each."""
import glob
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARIES = "/usr/lib/*-linux-gnu/"

# Name, what Debian package brings it, and where it lies. Nothing to preload: the C library's own.
PEERS = [
    ("glibc", "libc6", None),
    ("mimalloc", "libmimalloc2.0", LIBRARIES + "libmimalloc.so.2.*"),
    ("jemalloc", "libjemalloc2", LIBRARIES + "libjemalloc.so.2"),
    ("tcmalloc", "libtcmalloc-minimal4", LIBRARIES + "libtcmalloc_minimal.so.4"),
    ("tbbmalloc", "libtbbmalloc2", LIBRARIES + "libtbbmalloc_proxy.so.2"),
    ("scudo", "libclang-rt-19-dev",
     "/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.scudo_standalone-x86_64.so"),
]


def find_build(given):
    """The folder of the built benchmark programs: the one given, or the newest of the usual ones."""
    if given:
        return given
    built = glob.glob(os.path.join(ROOT, "build", "*", "bench", "acre-measure"))
    if not built:
        raise SystemExit("compare: no built benchmarks; run "
                         "'cmake --preset release && cmake --build --preset release' "
                         "or name their folder with --bench")
    return os.path.dirname(max(built, key=os.path.getmtime))


def find_acre(given):
    """The library to test: the one given, or the release build's; None when there is none."""
    if given:
        if not os.path.exists(given):
            raise SystemExit(f"compare: no such library: {given}")
        return os.path.abspath(given)
    for preset in ("release", "clang", "dev"):
        found = sorted(glob.glob(os.path.join(ROOT, "build", preset, "**", "libacre-malloc.so"),
                                 recursive=True))
        if found:
            return found[0]
    return None


def find_allocators(names, acre, others=()):
    """Name -> library to preload (empty for none), in the order of the table's columns.

    `names` is a comma-separated choice or None for all that are installed; `others` are
    further "name=path" pairs, for comparing builds of one library."""
    found = {}
    acre_path = find_acre(acre)
    if acre_path:
        found["acre"] = acre_path
    for other in others:
        name, _, path = other.partition("=")
        if not os.path.exists(path):
            raise SystemExit(f"compare: no such library: {path}")
        found[name] = os.path.abspath(path)
    missing = {}
    for name, package, pattern in PEERS:
        paths = [""] if pattern is None else sorted(glob.glob(pattern))
        if paths:
            found[name] = paths[-1]
        else:
            missing[name] = package
    if names is None:
        return found, missing
    wanted = names.split(",")
    for name in wanted:
        if name not in found:
            raise SystemExit(f"compare: allocator '{name}' is not here (have: {', '.join(found)})")
    return {name: found[name] for name in wanted}, {}
