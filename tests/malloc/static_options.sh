#!/bin/sh
# A statically linked program reads ACRE_OPTIONS and writes a summary: static_options.sh PROGRAM
set -eu
directory=$(mktemp -d)
trap 'rm -r "$directory"' EXIT
ACRE_OPTIONS="colour=red,summary_path=$directory/summary" "$1" 2>"$directory/errors"
grep "unknown option 'colour'" "$directory/errors"
grep '"event":"exit"' "$directory/summary"
# A pipe is opened once: at the end.
mkfifo "$directory/pipe"
cat "$directory/pipe" >"$directory/from_pipe" &
ACRE_OPTIONS="summary_path=$directory/pipe" timeout 20 "$1"
wait
grep '"event":"exit"' "$directory/from_pipe"
ACRE_OPTIONS="summary_path=$directory/none/summary" "$1" 2>"$directory/errors"
grep "cannot write '$directory/none/summary': No such file or directory" "$directory/errors"
