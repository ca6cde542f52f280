#!/bin/bash
# What a reviewer learns from a copied run folder alone: how it was made, what nothing certifies, and whether a training
# comes out the same again. docs/journeys/reviewer.md tells it; 52 s of processor time for the commands, beside their workers.
set -euo pipefail
OUT=${1:-runs/journeys/reviewer} PYTHON=${PYTHON:-.venv/bin/python}
[ ! -e "$OUT" ] || { echo "error: $OUT exists; name another folder" >&2; exit 2; }

echo "== somebody's search"
"$PYTHON" -m nas.search --space v2 --width 0.25 --data digits --set data.max_per_class=60 --trials 4 --epochs 2 \
  --confirm 1 --confirm-epochs 2 --seeds 1 --gpus 0 --out "$OUT/theirs/run" | tail -2
mkdir "$OUT/mine"
cp -r "$OUT/theirs/run" "$OUT/mine/run"
rm -r "$OUT/theirs"
before=$(cd "$OUT/mine/run" && find . -type f -exec sha256sum {} + | sort)

echo "== how was it made, and which of its numbers does nothing certify?"
"$PYTHON" -m nas.verify "$OUT/mine/run"
echo "== do its most accurate trial and the confirmed figure come out the same again?"
"$PYTHON" -m nas.verify "$OUT/mine/run" --trial best | sed -n '/ again/,$p'
"$PYTHON" -m nas.verify "$OUT/mine/run" --trial confirm/0 | sed -n '/ again/,$p'
[ "$before" = "$(cd "$OUT/mine/run" && find . -type f -exec sha256sum {} + | sort)" ] && echo "the folder is as it was"

echo "== would it tell if a figure had been changed?"
cp -r "$OUT/mine/run" "$OUT/mine/forged"
sed -i 's/"macs": /"macs": 1/' "$OUT/mine/forged/trials.jsonl"
code=0
"$PYTHON" -m nas.verify "$OUT/mine/forged" >"$OUT/forged.txt" || code=$?
grep "NO " "$OUT/forged.txt"
[ $code = 1 ]
