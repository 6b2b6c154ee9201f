# Functions for the scripts of this folder. Scripts source this file.
# shellcheck shell=bash
set -euo pipefail
self=$(cd "$(dirname "$0")" && pwd)/${0##*/}
# shellcheck disable=SC2034 # the scripts use it
caller_dir=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Longest time until a server prints its ready line, and longest time until it has stopped, in seconds.
readonly READY_TIMEOUT=20 STOP_TIMEOUT=30
# Where cargo puts release builds.
readonly BUILT=${CARGO_TARGET_DIR:-target}/release
# shellcheck disable=SC2034 # the scripts use it
readonly SERVER=$BUILT/ws-echo LOAD=$BUILT/ws-load
# At the level info the server logs two lines for each connection, which costs CPU time.
export RUST_LOG=${RUST_LOG:-warn}

scratch=$(mktemp -d)
server_pid='' server_out='' url=''

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# print_results NAME VALUE [NAME VALUE]...: prints the results of a script as a table with two columns.
print_results() {
  printf '\nresults\n'
  printf '  %-32s %s\n' "$@"
}

cleanup() {
  local code=$?
  if [[ -n $server_pid ]] && kill -KILL "$server_pid" 2>/dev/null; then
    wait "$server_pid" 2>/dev/null || true
  fi
  rm -rf "$scratch"
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints the comment at the start of the calling script, and exits.
help() { sed -n '2,/^[^#]/ { s/^# \{0,1\}//; t show; b; :show; p }' "$self"; exit 0; }

build() {
  say 'building the release binaries'
  # One command for each package: a common build would give the server the dependency features that only
  # ws-load uses.
  cargo build --release --quiet --package ws-echo
  cargo build --release --quiet --package ws-load
}

# raise_file_limit N: raises the soft limit of open files to the hard limit. Exits if the hard limit is below
# N.
raise_file_limit() {
  local hard
  hard=$(ulimit -Hn)
  ulimit -Sn "$hard" || true
  if [[ $hard != unlimited ]] && ((hard < $1)); then
    die "$1 open files are needed, and the hard limit is $hard;" \
      'raise it with ulimit -Hn, or use fewer connections'
  fi
}

# start_server COMMAND...: starts a server in the background and waits for its ready line. Sets server_pid and
# url.
start_server() {
  server_out=$scratch/server.out url=''
  : >"$server_out"
  "$@" >"$server_out" 2>"$scratch/server.err" </dev/null &
  server_pid=$!
  local deadline=$((SECONDS + READY_TIMEOUT))
  while :; do
    url=$(sed -n 's|^listening on \(wss\{0,1\}://[^ ]*\).*|\1|p' "$server_out" | head -n 1)
    [[ -n $url ]] && return
    kill -0 "$server_pid" 2>/dev/null || die "the server did not start: $(tail -n 3 "$scratch/server.err")"
    ((SECONDS < deadline)) || die "the server did not print its ready line within $READY_TIMEOUT s"
    sleep 0.02
  done
}

# stop_server [SIGNAL]: sends a signal (default INT) and waits for the end of the server. Sets stop_code, its
# exit code.
stop_server() {
  local deadline=$((SECONDS + STOP_TIMEOUT))
  kill "-${1:-INT}" "$server_pid" 2>/dev/null || true
  while kill -0 "$server_pid" 2>/dev/null; do
    ((SECONDS < deadline)) || die "the server did not stop within $STOP_TIMEOUT s"
    sleep 0.02
  done
  stop_code=0
  wait "$server_pid" || stop_code=$?
  server_pid=''
}

# start_echo OPTION...: starts ws-echo on a free port.
start_echo() { start_server "$SERVER" --listen 127.0.0.1:0 "$@"; }

# Stops ws-echo with SIGINT. Exits if its exit code is not 0.
stop_echo() {
  stop_server INT
  ((stop_code == 0)) || die "the server ended with exit code $stop_code: $(tail -n 3 "$scratch/server.err")"
}

# server_count NAME: prints the first number in the line NAME of the server's summary.
server_count() { sed -n "s/^ *$1 *\([0-9]*\).*/\1/p" "$server_out" | head -n 1; }

# json FILE KEY: prints the number of the first KEY in a JSON file of ws-load. Such a file has one key in a
# line. What was not measured is null, which calc takes for 0.
json() { sed -n "s/^ *\"$2\": \([0-9.eE+-]*\|null\),\{0,1\}$/\1/p" "$1" | head -n 1; }
# json_in FILE OBJECT KEY: prints the number of KEY in a top-level object of a JSON file of ws-load.
json_in() {
  sed -n "/^  \"$2\": {/,/^  }/ s/^ *\"$3\": \([0-9.eE+-]*\|null\),\{0,1\}$/\1/p" "$1" | head -n 1
}

# calc EXPRESSION [FORMAT]: prints the result of floating-point arithmetic (default format %.2f).
calc() { awk "BEGIN { printf \"${2:-%.2f}\", $1 }"; }

# rss PID: prints the resident memory of a process in KiB.
rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }
# threads PID: prints the number of threads of a process.
threads() { sed -n 's/^Threads:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }
# cpu PID: prints the CPU time that a process has used, user and system, in seconds.
cpu() {
  sed 's/.*) //' "/proc/$1/stat" |
    awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f %.2f\n", $12 / hz, $13 / hz }'
}
