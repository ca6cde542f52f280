#!/usr/bin/env bash
# A researcher's journey (docs/journeys/researcher.md), small: which alpha, beta and gamma fit EfficientNet-B0, how sure
# is that, and what does its published family do? Usage: examples/researcher.sh [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
OUT=${1:-runs/journeys/researcher}
if [ -e "$OUT" ]; then echo "$OUT: exists; remove it or name another folder" >&2; exit 2; fi
step() { printf '\n== %s\n' "$*"; }

step "What do the published coefficients give, and what was published?"
$PYTHON -m nas.scale --phi 1..7 --base efficientnet_b0 --coefficients 1.2,1.1,1.15 --out "$OUT/formula"
$PYTHON -m nas.scale --phi 1..7 --coefficients published --out "$OUT/published"

step "Which fit this base? A study at a quarter of its width, on small images; five rules at equal cost"
$PYTHON -m nas.scale --phi 1..7 --base efficientnet_b0 --width 0.25 --resolution 48 --data glyphs:n=800 --grid-step 0.1 \
  --seeds 2 --epochs 4 --set train.learning_rate=0.003 --out "$OUT/study"

step "Figures for a paper"
if $PYTHON -c 'from reports import images; images.check("--png")' 2> /dev/null; then
  $PYTHON -m nas.report "$OUT/study" --png "$OUT/figures" --svg "$OUT/figures"
else
  echo "no images: nas.report --png needs Chrome or Chromium and the extra images"
fi
