#!/bin/bash
# A search on a two-node Ray cluster (two raylets here) that is killed, loses a machine, is resumed and raised; then
# optuna-dashboard. Nothing may be lost. docs/journeys/platform-team.md tells it; about 3 minutes on two quiet cores.
set -euo pipefail
OUT=${1:-runs/journeys/platform-team} PYTHON=${PYTHON:-.venv/bin/python}
RUN=$OUT/run LEDGER=$OUT/run/trials.jsonl TEMP=$(mktemp -d /tmp/ray-XXXXXX) STARTED=()
[ ! -e "$OUT" ] || { echo "error: $OUT exists; name another folder" >&2; exit 2; }
mkdir -p "$OUT"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(openssl rand -hex 32)  # nobody else's driver can come in
export RAY_raylet_start_wait_time_s=170  # on a machine that does other work, too

stop() { for pid in "${STARTED[@]}"; do kill -"$1" -- "-$pid" 2>/dev/null || true; done; }
trap 'stop TERM; sleep 3; stop KILL; wait 2>/dev/null; rm -rf "$TEMP"' EXIT
until_true() { for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.3; done; echo "error: in vain: $*" >&2; exit 1; }
count() { [ "$(grep -c "\"event\": \"$1\"" "$LEDGER")" -ge "$2" ]; }
port() { "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
in_group() { setsid "$@" & STARTED+=($!); }  # so that what it starts can be killed with it, and nothing else
raylet() { in_group "$PYTHON" -m ray.scripts.scripts start --block --num-cpus=1 --node-ip-address=127.0.0.1 \
    --dashboard-agent-listen-port=0 --disable-usage-stats "${@:2}" >"$OUT/$1.txt" 2>&1; }
search() { "$PYTHON" -m nas.search "$@"; }

echo "== a head and a second node"
ADDRESS=127.0.0.1:$(port)
raylet head --head --port="${ADDRESS#*:}" --temp-dir="$TEMP" --include-dashboard=false
until_true grep -q "Ray runtime started" "$OUT/head.txt"
raylet node --address="$ADDRESS"
NODE=${STARTED[-1]}
until_true grep -q "Ray runtime started" "$OUT/node.txt"

echo "== a search, its driver killed when two trials have finished"
search --space v2 --width 0.25 --data digits --objective top1 --objective macs --trials 6 --epochs 2 \
    --set data.max_per_class=60 --address "$ADDRESS" --out "$RUN" >"$OUT/killed.txt" 2>&1 & DRIVER=$!
until_true count finished 2
kill -KILL $DRIVER

echo "== resumed; a machine is lost on the way"
BEFORE=$(grep -c '"event": "started"' "$LEDGER")
search --resume "$RUN" & RESUMED=$!
until_true count started $((BEFORE + 2))
kill -KILL -- "-$NODE"
wait $RESUMED

echo "== two trials more, on what is left"
search --resume "$RUN" --trials 8

echo "== opened in optuna-dashboard"
"$PYTHON" -m nas.report "$RUN" --optuna "$OUT/run.db" | tail -2
DASHBOARD=$(port)
in_group "$(dirname "$PYTHON")/optuna-dashboard" "sqlite:///$OUT/run.db" --host 127.0.0.1 --port "$DASHBOARD" >"$OUT/dashboard.txt" 2>&1
until_true "$PYTHON" -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$DASHBOARD/api/studies')"
"$PYTHON" "$(dirname "$0")/whole.py" "$RUN" "http://127.0.0.1:$DASHBOARD" 8
