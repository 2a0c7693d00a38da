#!/usr/bin/env bash
# Checks that the in-process library needs libc alone however it is compiled:
# check_unoptimized.sh SOURCE_DIRECTORY COMPILER
#
# Unoptimized code calls functions of the C++ run-time library that optimized code has inline.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake -S "$1" -B "$work" -G Ninja -DCMAKE_CXX_COMPILER="$2" -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DACRE_CHECKS=ON -DACRE_BUILD_TESTS=OFF -DACRE_BUILD_BENCH=OFF \
  >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  exit 1
}
cmake --build "$work" --target acre_malloc_shared
said=$(LD_PRELOAD=$work/src/libacre-malloc.so ls "$1" 2>&1 >/dev/null)
[ -z "$said" ] || {
  echo "check_unoptimized: ls said: $said" >&2
  exit 1
}
