#!/bin/bash
# A search on a two-node Ray cluster (two raylets here) that is killed, loses a machine, is resumed and raised; then
# optuna-dashboard. Nothing may be lost. docs/journeys/platform-team.md tells it.
set -euo pipefail
OUT=${1:-runs/journeys/platform_team} PYTHON=${PYTHON:-.venv/bin/python}
RUN=$OUT/run LEDGER=$OUT/run/trials.jsonl TEMP=$(mktemp -d /tmp/ray-XXXXXX) GROUPS_STARTED=()
[ ! -e "$OUT" ] || { echo "error: $OUT exists; name another folder" >&2; exit 2; }
mkdir -p "$OUT"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(openssl rand -hex 32)  # nobody else's driver comes in

stop() { for group in "${GROUPS_STARTED[@]}"; do kill -"$1" -- "-$group" 2>/dev/null || true; done; }
trap 'stop TERM; sleep 3; stop KILL; rm -rf "$TEMP"' EXIT
in_group() { setsid "$@" & GROUPS_STARTED+=($!); }  # so that what it starts ends with it, and nothing else does
wait_for() { for _ in $(seq 900); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done; echo "in vain: $*" >&2; exit 1; }
count() { grep -c "\"event\": \"$1\"" "$LEDGER" 2>/dev/null || true; }
at_least() { [ "$(count "$1")" -ge "$2" ]; }
port() { "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
up_or_gone() { grep -q "Ray runtime started" "$1" || ! kill -0 "$2"; }
raylet() {  # NAME FLAGS: Ray gives a part of it 15 s to start, too few on a busy machine: so up to five attempts
  for _ in {1..5}; do
    in_group "$PYTHON" -m ray.scripts.scripts start --block --num-cpus=1 --node-ip-address=127.0.0.1 \
      --dashboard-agent-listen-port=0 --disable-usage-stats "${@:2}" >"$OUT/$1.txt" 2>&1
    wait_for up_or_gone "$OUT/$1.txt" $!
    if grep "Ray runtime started" "$OUT/$1.txt"; then return; fi
    kill -KILL -- "-$!" 2>/dev/null || true
  done
  echo "error: no raylet came up, see $OUT/$1.txt" >&2
  exit 1
}

echo "== a head and a second node"
ADDRESS=127.0.0.1:$(port)
raylet head --head --port="${ADDRESS#*:}" --temp-dir="$TEMP" --include-dashboard=false
raylet node --address="$ADDRESS"; NODE=${GROUPS_STARTED[-1]}
echo "== a search, its driver killed when two trials have finished"
"$PYTHON" -m nas.search --space v2 --width 0.25 --data digits --objective top1 --objective macs --trials 6 --epochs 2 \
  --set data.max_per_class=60 --address "$ADDRESS" --out "$RUN" >"$OUT/killed.txt" 2>&1 & DRIVER=$!
wait_for at_least finished 2
kill -KILL $DRIVER
echo "== resumed; the second node is lost on the way"
BEFORE=$(count started)
"$PYTHON" -m nas.search --resume "$RUN" & RESUMED=$!
wait_for at_least started $((BEFORE + 2))
kill -KILL -- "-$NODE"
wait $RESUMED
echo "== two trials more, on what is left"
"$PYTHON" -m nas.search --resume "$RUN" --trials 8
echo "== opened in optuna-dashboard"
"$PYTHON" -m nas.report "$RUN" --optuna "$OUT/run.db" | tail -2
URL=http://127.0.0.1:$(port)
in_group "$(dirname "$PYTHON")/optuna-dashboard" "sqlite:///$OUT/run.db" --host 127.0.0.1 --port "${URL##*:}" >"$OUT/dashboard.txt" 2>&1
wait_for "$PYTHON" -c "import urllib.request as r; r.urlopen('$URL/api/studies')"
"$PYTHON" "$(dirname "$0")/whole.py" "$RUN" "$URL" 8
