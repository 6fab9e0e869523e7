#!/usr/bin/env bash
# Whole-program measurements, as ratios within one run. Needs the Rust toolchain, awk, curl and Linux.
#
#   benches/side_by_side.sh [PART...] [OTHER]      parts: cheap bubble wide flat affine schedule durable read
#
# Without a part everything runs, in about twenty minutes; `flat` wants 12 GB of disk below TMPDIR. OTHER is the path of a
# second binary, such as that of an earlier version: `cheap` and `read` then run both in turn and give this one's figures as
# multiples of the other's.
set -euo pipefail
parts=() other=
for argument in "$@"; do
  case "$argument" in
    */*) other=$(realpath "$argument") ;;
    *) parts+=("$argument") ;;
  esac
done
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
program="$PWD/target/release/cohobate"
bare=$(cargo bench --locked --quiet --bench bare_client --no-run --message-format=json |
  grep -o '"executable":"[^"]*bare_client[^"]*"' | cut -d'"' -f4)
place=$(mktemp -d "${TMPDIR:-/tmp}/cohobate-bench.XXXXXX")
servers=()
stop_servers() { for server in "${servers[@]}"; do kill "$server" 2>/dev/null || true; done; servers=(); }
trap 'stop_servers; rm -rf "$place"' EXIT
cd "$place"
ulimit -n "$(ulimit -Hn)"
export NO_PROXY=127.0.0.1

# dataset ROWS TURNS_MAX BYTES GROUPS: conversations of 1 to TURNS_MAX turns; with GROUPS some share a system prompt.
dataset() {
  awk -v rows="$1" -v turns="$2" -v bytes="$3" -v groups="$4" 'BEGIN {
    split("river mountain engine harbor violin copper window planet bridge garden letter signal forest island", words, " ")
    srand(1)
    while (length(text) < 200000) text = text words[int(rand() * 14) + 1] " "
    for (row = 0; row < rows; row++) {
      printf "{\"id\":\"c%d\",\"messages\":[", row
      if (groups) printf "{\"role\":\"system\",\"content\":\"group %d %s\"},", row % groups, substr(text, row % groups * 97 + 1, 2000)
      count = int(rand() * turns) + 1
      for (turn = 0; turn < count; turn++)
        printf "%s{\"role\":\"user\",\"content\":\"%d %d %s\"},{\"role\":\"assistant\",\"content\":\"old\"}", turn ? "," : "", row, turn, substr(text, int(rand() * (199000 - bytes)) + 1, bytes)
      print "]}"
    }
  }'
}

# serve COUNT ARGUMENTS...: starts mock servers and sets $url to their addresses.
serve() {
  local count=$1 log index; shift
  url=
  for ((index = 0; index < count; index++)); do
    log="$place/mock-$index.log"
    : >"$log"
    ${mock_core:-} "$program" mock --port 0 "$@" 2>"$log" &
    servers+=($!)
    until grep -q listening "$log"; do sleep 0.05; done
    url="$url${url:+,}$(grep -o 'http://[^ ]*' "$log")"
  done
}

# field NAME: a number of the last run's summary.
field() { grep -o "\"$1\":[0-9.]*" summary.json | head -1 | cut -d: -f2; }
ratio() { awk -v a="$1" -v b="$2" -v f="${3:-%.2f}" 'BEGIN { printf f, a / b }'; }

# distill INPUT ARGUMENTS...: a run over a new store; its summary goes into summary.json.
distill() {
  local input=$1; shift
  rm -rf store
  ${client_core:-} "$program" distill "$input" --store store -o out.jsonl --progress json "$@" 2>run.log || {
    tail -5 run.log >&2
    return 1
  }
  tail -1 run.log >summary.json
}

# One core for the program, another for the server.
pin() {
  client_core= mock_core=
  if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then client_core="taskset -c 0" mock_core="taskset -c 1"; fi
}
unpin() { client_core= mock_core=; }

# cpu_of COMMAND...: the processor time of a command, in seconds.
cpu_of() {
  local TIMEFORMAT='%U %S'
  { time "$@" >/dev/null 2>&1; } 2>&1 | awk '{ print $1 + $2 }'
}

# versus NAME COMMAND...: runs a command with this binary and with the other in turn, and prints the ratio of the medians of
# their processor times. PROGRAM in the command is replaced by each; a store is removed before each run.
versus() {
  local name=$1 rounds=5 round binary times=(); shift
  [ -n "$other" ] || return 0
  for ((round = 0; round < rounds; round++)); do
    for binary in "$program" "$other"; do
      rm -rf store
      times+=("$(cpu_of ${client_core:-} "${@/#PROGRAM/$binary}")")
    done
  done
  printf '%s\n' "${times[@]}" | awk -v name="$name" '
    { side = NR % 2; count[side]++; value[side, count[side]] = $1; ratio[count[side]] = side ? $1 : last[1] / $1; last[side] = $1 }
    function median(side, n, i, j, held) {
      n = count[side]
      for (i = 2; i <= n; i++) for (j = i; j > 1 && value[side, j] < value[side, j - 1]; j--) {
        held = value[side, j]; value[side, j] = value[side, j - 1]; value[side, j - 1] = held
      }
      return value[side, int((n + 1) / 2)]
    }
    END {
      this = median(1); that = median(0); least = most = ratio[1]
      for (i = 2; i <= count[0]; i++) { if (ratio[i] < least) least = ratio[i]; if (ratio[i] > most) most = ratio[i] }
      printf "  versus the other binary     %-22s %.3f x its processor time (%.2f s, %.2f s; pairs %.3f to %.3f)\n", name, this / that, this, that, least, most
    }'
}

read_files() {
  echo "== read: a gigabyte of JSON lines and the same as Parquet, beside serde_json alone, one core"
  pin
  dataset 255000 4 1500 0 >read.jsonl
  "$program" convert read.jsonl -o read/ -q
  ${client_core:-} cargo bench --locked --quiet --manifest-path "$OLDPWD/Cargo.toml" --bench reading -- "$PWD/read.jsonl" "$PWD/read/data/"*.parquet
  for input in read.jsonl read/; do
    "$program" inspect $input >/dev/null &
    local looker=$! peak=0 now
    while now=$(awk '/VmHWM/ { print $2 }' /proc/$looker/status 2>/dev/null) && [ -n "$now" ]; do peak=$now; sleep 0.05; done
    echo "inspect $input: peak $((peak / 1024)) MB"
  done
  versus "inspect, JSON lines" PROGRAM inspect read.jsonl
  versus "inspect, Parquet" PROGRAM inspect read/
  versus "convert" PROGRAM convert read.jsonl -o converted.jsonl
  rm -rf read read.jsonl converted.jsonl
  unpin
}

cheap() {
  echo "== cheap: CPU for a call, everything included, 4 KB of prompt, 1 KB of answer, 64 in flight, one core"
  pin
  dataset 20000 1 4000 0 >cheap.jsonl
  serve 1 --answer 160
  local whole stream chunks
  distill cheap.jsonl --teacher "m@$url" --concurrency 64 --stream false
  whole=$(ratio "$(field cpu_s)" 20000 %.7f)
  printf '  cohobate, whole answers     %4.0f us a call, both passes over the input and the output included\n' "$(ratio "$whole" 0.000001 %f)"
  distill cheap.jsonl --teacher "m2@$url" --concurrency 64
  stream=$(ratio "$(field cpu_s)" 20000 %.7f)
  chunks=42 # 160 tokens in pieces of four, the first and the last
  printf '  cohobate, streamed          %4.0f us a call, %.2f us for each piece\n' "$(ratio "$stream" 0.000001 %f)" \
    "$(awk -v a="$stream" -v b="$whole" -v c=$chunks 'BEGIN { print (a - b) / c * 1e6 }')"
  versus "whole answers" PROGRAM distill cheap.jsonl --store store -o out.jsonl --progress none --teacher "m@$url" --concurrency 64 --stream false
  versus "streamed" PROGRAM distill cheap.jsonl --store store -o out.jsonl --progress none --teacher "m@$url" --concurrency 64
  local mode cpu floor=
  for mode in whole stream; do
    $client_core "$bare" "${url}" 20000 64 4000 "$mode" >summary.json
    cpu=$(ratio "$(field cpu_s)" 20000 %.7f)
    if [ "$mode" = whole ]; then
      floor=$cpu
      printf '  bare client, whole          %4.0f us a call: the same HTTP library, answers thrown away\n' "$(ratio "$cpu" 0.000001 %f)"
    else
      printf '  bare client, streamed       %4.0f us a call, %.2f us for each piece\n' "$(ratio "$cpu" 0.000001 %f)" \
        "$(awk -v a="$cpu" -v b="$floor" -v c=$chunks 'BEGIN { print (a - b) / c * 1e6 }')"
    fi
  done
  stop_servers
  unpin
}

bubble() {
  echo "== bubble: wall over the lower bound max(latencies / slots, longest conversation), over HTTP, 1 to 30 turns"
  local slots conversations latency
  for setting in "64 3000 100" "512 8000 600" "4096 50000 1500"; do
    read -r slots conversations latency <<<"$setting"
    dataset "$conversations" 30 200 0 >bubble.jsonl
    serve 1 --latency "$latency" --spread 0.5 --answer 60
    distill bubble.jsonl --teacher "m@$url" --concurrency "$slots" --stream false
    printf '  %5d slots  %7d calls  wall %4.0f s  bound %4.0f s  wall over bound %.3f  cpu %3.0f us a call  peak %4.0f MB\n' \
      "$slots" "$(field answered)" "$(field asking_s)" "$(field bound_s)" "$(ratio "$(field asking_s)" "$(field bound_s)" %.4f)" \
      "$(awk -v c="$(field cpu_s)" -v n="$(field answered)" 'BEGIN { print c / n * 1e6 }')" "$(ratio "$(field memory_peak_bytes)" 1000000)"
    stop_servers
  done
}

wide() {
  echo "== wide: 10,000 calls in flight from one process"
  dataset 30000 3 1000 0 >wide.jsonl
  serve 1 --latency 10000 --spread 0.2 --answer 60
  distill wide.jsonl --teacher "m@$url" --concurrency 10000
  printf '  cohobate     most in flight %d, wall over bound %.3f, peak %.0f MB\n' \
    "$(curl -s "${url%/v1}/stats" | grep -o '"in_flight_max":[0-9]*' | cut -d: -f2)" \
    "$(ratio "$(field asking_s)" "$(field bound_s)" %.4f)" "$(ratio "$(field memory_peak_bytes)" 1000000)"
  "$bare" "$url" 30000 10000 1000 stream >summary.json
  printf '  bare client  peak %.0f MB\n' "$(ratio "$(field memory_peak_bytes)" 1000000)"
  stop_servers
}

flat() {
  echo "== flat: a million conversations through the simulated teacher, 256 in flight"
  local rows
  for rows in 100000 1000000; do
    dataset "$rows" 5 950 0 >flat.jsonl
    distill flat.jsonl --teacher simulated --concurrency 256
    local turns first
    turns=$(field answered)
    first=$(field asking_s)
    printf '  %8d conversations, %4.1f GB: %d turns, %.0f turns/s, peak %.0f MB\n' "$rows" \
      "$(ratio "$(stat -c %s flat.jsonl)" 1000000000)" "$turns" "$(ratio "$turns" "$first")" "$(ratio "$(field memory_peak_bytes)" 1000000)"
    local began ended
    began=$(date +%s.%N)
    "$program" distill flat.jsonl --store store -o out.jsonl --progress json --teacher simulated --concurrency 256 2>run.log
    ended=$(date +%s.%N)
    tail -1 run.log >summary.json
    printf '  %8s again: %.0f turns/s, replayed and written, peak %.0f MB\n' "" \
      "$(awk -v n="$turns" -v a="$began" -v b="$ended" 'BEGIN { print n / (b - a) }')" "$(ratio "$(field memory_peak_bytes)" 1000000)"
  done
}

affine() {
  echo "== affine: prompt tokens found in the servers' caches, 800 conversations in 40 groups that share a system prompt"
  dataset 800 12 400 40 >affine.jsonl
  printf '[models.m]\nrouting = "round-robin"\n' >round-robin.toml
  local count routing more
  for setting in "1 affine" "8 affine" "8 round-robin"; do
    read -r count routing <<<"$setting"
    more=()
    if [ "$routing" = round-robin ]; then more=(--config round-robin.toml); fi
    serve "$count" --latency 30 --prefill 50 --cache $((400000 / count))
    distill affine.jsonl --teacher "m@$url" --concurrency 64 "${more[@]}"
    printf '  %d replica(s), %-12s %5.1f %% cached, %3.0f s\n' "$count" "$routing" \
      "$(awk -v c="$(field cached_tokens)" -v p="$(field prompt_tokens)" 'BEGIN { print 100 * c / p }')" "$(field asking_s)"
    stop_servers
  done
}

schedule() {
  echo "== schedule: the same worker in virtual time, beside other orders"
  (cd "$OLDPWD" && cargo bench --locked --quiet --bench schedule)
}

durable() {
  echo "== durable: group commit beside a bare loop of append and fdatasync"
  (cd "$OLDPWD" && cargo bench --locked --quiet --bench durable)
}

if [ ${#parts[@]} -eq 0 ]; then parts=(cheap bubble wide flat affine schedule durable read); fi
for part in "${parts[@]}"; do "${part/#read/read_files}"; done
