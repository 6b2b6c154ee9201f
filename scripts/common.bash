# Shared by the scripts of this folder: sourced, never run.
# shellcheck shell=bash
set -euo pipefail
self=$(cd "$(dirname "$0")" && pwd)/${0##*/}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Longest wait for a server to say that it is ready, and for it to stop, in seconds.
readonly READY_WAIT=20 STOP_WAIT=30
# shellcheck disable=SC2034 # the scripts use it
readonly SERVER=target/release/ws-echo LOAD=target/release/ws-load
# Two log lines a connection would be measured with the connection.
export RUST_LOG=${RUST_LOG:-warn}

scratch=$(mktemp -d)
server_pid='' server_out='' url=''

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }
# The last line of every script: what it has shown.
learned() { printf '\nlearned: %s\n' "$*"; }

cleanup() {
  local code=$?
  if [[ -n $server_pid ]] && kill -0 "$server_pid" 2>/dev/null; then kill -KILL "$server_pid" 2>/dev/null || true; fi
  rm -rf "$scratch"
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints the comment at the head of the calling script as its help.
help() { sed -n '2,/^[^#]/ { s/^# \{0,1\}//; t show; b; :show; p }' "$self"; exit 0; }

build() {
  say 'building the release binaries'
  # One by one: together, the server would be built with features of libraries that only ws-load asks for.
  cargo build --release --quiet --package ws-echo
  cargo build --release --quiet --package ws-load
}

# raise_files N: lets this shell and its children open N files, or says why not.
raise_files() {
  local hard
  hard=$(ulimit -Hn)
  ulimit -Sn "$hard" || true
  if [[ $hard != unlimited ]] && ((hard < $1)); then
    die "$1 open files are needed and the hard limit is $hard: raise it with ulimit -Hn, or lower --connections"
  fi
}

# start_server COMMAND...: starts it in the background and waits for its ready line. Sets server_pid and url.
start_server() {
  server_out=$scratch/server.out url=''
  : >"$server_out"
  "$@" >"$server_out" 2>"$scratch/server.err" </dev/null &
  server_pid=$!
  local deadline=$((SECONDS + READY_WAIT))
  while :; do
    url=$(sed -n 's|^listening on \(ws://[^ ]*\).*|\1|p' "$server_out" | head -n 1)
    [[ -n $url ]] && return
    kill -0 "$server_pid" 2>/dev/null || die "the server did not start: $(tail -n 3 "$scratch/server.err")"
    ((SECONDS < deadline)) || die "the server said nothing for $READY_WAIT s"
    sleep 0.02
  done
}

# stop_server [SIGNAL]: stops it, INT unless told otherwise; its exit code is in stop_code.
stop_server() {
  local deadline=$((SECONDS + STOP_WAIT))
  kill "-${1:-INT}" "$server_pid" 2>/dev/null || true
  while kill -0 "$server_pid" 2>/dev/null; do
    ((SECONDS < deadline)) || die "the server did not stop within $STOP_WAIT s"
    sleep 0.02
  done
  stop_code=0
  wait "$server_pid" || stop_code=$?
  server_pid=''
}

# Starts our server on a free port with the given options.
start_echo() { start_server "$SERVER" --listen 127.0.0.1:0 "$@"; }

# Stops our server as Ctrl-C would, and insists on a clean end.
stop_echo() {
  stop_server INT
  ((stop_code == 0)) || die "the server ended with exit code $stop_code: $(tail -n 3 "$scratch/server.err")"
}

# server_said WORD: the first number of the line of the server's summary that starts with WORD.
server_said() { sed -n "s/^ *$1 *\([0-9]*\).*/\1/p" "$server_out" | head -n 1; }

# json FILE KEY: the number behind the first KEY of a JSON file of ws-load, which writes one key a line.
json() { sed -n "s/^ *\"$2\": \([0-9.eE+-]*\),\{0,1\}$/\1/p" "$1" | head -n 1; }
# json_in FILE OBJECT KEY: likewise within an object of the top level.
json_in() { sed -n "/^  \"$2\": {/,/^  }/ s/^ *\"$3\": \([0-9.eE+-]*\),\{0,1\}$/\1/p" "$1" | head -n 1; }

# calc EXPRESSION [FORMAT]: arithmetic with fractions.
calc() { awk "BEGIN { printf \"${2:-%.2f}\", $1 }"; }

# rss PID, threads PID: resident memory in KiB, and threads, of a process.
rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }
threads() { sed -n 's/^Threads:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }
# cpu PID: user and system CPU seconds that a process has used.
cpu() { sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f %.2f\n", $12 / hz, $13 / hz }'; }
