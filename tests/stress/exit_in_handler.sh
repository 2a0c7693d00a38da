#!/bin/sh
# Many programs that a handler ends inside the heap: exit_in_handler.sh PROGRAM PRELOAD
set -eu
program=$1
preload=$2
for round in 1 2 3 4 5 6 7 8 9 10; do
  status=0
  LD_PRELOAD=$preload ACRE_OPTIONS=summary_path=/dev/null timeout 30 "$program" || status=$?
  [ "$status" -eq 7 ] || {
    echo "round $round ended with $status instead of 7"
    exit 1
  }
done
