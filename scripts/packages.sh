# Sourced by demo and test: the Debian packages they need, and how to install those that are missing.

build_packages=(
  build-essential cmake ninja-build
  libcli11-dev libfmt-dev nlohmann-json3-dev libhwloc-dev libpng-dev # the acre command
  file pkg-config # to make Debian packages, and to build programs against them
)

test_packages=(
  clang-19 libclang-rt-19-dev clang-format-19 # the second compiler, sanitizers, formatting
  libgtest-dev python3                        # the tests themselves
  git                                         # style checks
)

# redis-tools, not redis-server: it holds the same binary, and installs no service that would start.
demo_packages=(redis-tools python3)

# take_no_arguments "$@": the head of the script that sourced this is its help.
take_no_arguments() {
  [ $# -gt 0 ] || return 0
  case $1 in
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;;
  esac
  echo "error: unexpected argument '$1': $0 takes none" >&2
  exit 2
}

# install_missing PACKAGE...: leaves packages alone that are there, and asks nothing.
install_missing() {
  local package missing=() as_root=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "error: these packages are missing and only root can install them: ${missing[*]}" >&2
      echo "Run this as root, or: apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    }
    as_root=(sudo)
  fi
  echo "Installing: ${missing[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  "${apt[@]}" update
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}

# provide_redis DIRECTORY: puts a redis-server there unless the machine has one on its path.
#
# Debian's redis-server is a link to redis-check-rdb; the name it is called by decides what it does.
provide_redis() {
  command -v redis-server >/dev/null || {
    mkdir -p "$1"
    ln -sf "$(command -v redis-check-rdb)" "$1/redis-server"
    export PATH=$1:$PATH
  }
}
