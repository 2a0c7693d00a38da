#!/usr/bin/env bash
# Checks that what is installed can be used: check_install.sh BUILD_DIRECTORY
#
# Installs the build into a temporary prefix, builds and runs other people's programs against it by
# find_package and by pkg-config, then makes the Debian packages and looks into them.
set -euo pipefail

build=$(realpath "$1")
consumer=$(realpath "$(dirname "$0")/consumer")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

fail() {
  echo "check_install: $*" >&2
  exit 1
}

# quietly COMMAND...: shows what the command said only when it failed.
quietly() {
  "$@" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "failed: $*"
  }
}

quietly cmake --install "$build" --prefix "$prefix"

echo "consumer by find_package"
quietly cmake -S "$consumer" -B "$work/consumer" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_PREFIX_PATH="$prefix"
quietly cmake --build "$work/consumer"
quietly ctest --test-dir "$work/consumer" --output-on-failure

echo "consumer by pkg-config"
pc_directory=$(dirname "$(find "$prefix" -name acre.pc)")
export PKG_CONFIG_PATH=$pc_directory
read -ra acre_flags <<<"$(pkg-config --cflags --libs --static acre)"
read -ra malloc_flags <<<"$(pkg-config --cflags --libs acre-malloc)"
quietly g++ -std=c++23 "$consumer/heap_object.cpp" "${acre_flags[@]}" -o "$work/heap_object"
quietly "$work/heap_object"
quietly gcc "$consumer/own_names.c" "${acre_flags[@]}" -o "$work/own_names"
quietly "$work/own_names"
quietly gcc "$consumer/program_malloc.c" "${malloc_flags[@]}" -o "$work/program_malloc"
quietly g++ "$consumer/library_malloc.cpp" "${malloc_flags[@]}" -o "$work/library_malloc"
export LD_LIBRARY_PATH=$(dirname "$pc_directory")
quietly "$work/program_malloc"
quietly "$work/library_malloc"
unset LD_LIBRARY_PATH

# expect PACKAGE PATTERN...: the package holds a file for each pattern.
expect() {
  local package=$1 file contents pattern
  shift
  file=$(find "$work/deb" -maxdepth 1 -name "${package}_*.deb")
  [ -n "$file" ] || fail "no package $package was made"
  contents=$(dpkg-deb -c "$file")
  for pattern in "$@"; do
    grep -qE "$pattern" <<<"$contents" || fail "$package holds nothing like $pattern: $contents"
  done
  [ -n "$(dpkg-deb -f "$file" Depends)" ] || fail "$package depends on nothing"
  echo "package $package: $(dpkg-deb -f "$file" Depends)"
}

quietly cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work/deb"
expect libacre-malloc '/usr/lib/.*/?libacre-malloc\.so -> ' '/usr/share/doc/libacre-malloc/copyright$' \
  '/usr/share/doc/libacre-malloc/changelog\.gz$'
expect libacre-dev '/libacre\.a$' '/libacre-malloc\.a$' '/usr/include/acre/malloc\.h$' \
  '/usr/include/acre/heap/heap\.hpp$' '/acre-config\.cmake$' '/acre\.pc$' '/acre-malloc\.pc$' \
  '/usr/share/doc/libacre-dev/heap\.md$' '/usr/share/doc/libacre-dev/region/regions\.md$'
expect acre '/usr/bin/acre$' '/usr/share/man/man1/acre\.1\.gz$' '/usr/share/doc/acre/maps\.md$' \
  '/bash-completion/completions/acre$' '/usr/libexec/acre/acre-workloads$'
echo "installation: ok"
