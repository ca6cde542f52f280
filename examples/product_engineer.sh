#!/usr/bin/env bash
# A product engineer's journey (docs/journeys/product-engineer.md), small: the most accurate network for a folder of
# photographs within a limit on latency, taken to timm and ONNX and fine-tuned.
# Usage: examples/product_engineer.sh [OUT]
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}
OUT=${1:-runs/journeys/product_engineer}
if [ -e "$OUT" ]; then echo "$OUT: exists; remove it or name another folder" >&2; exit 2; fi
step() { printf '\n== %s\n' "$*"; }

step "Photographs in class folders"
$PYTHON examples/make_photos.py "$OUT/photos"

step "Which network is the most accurate within 1 ms in ONNX Runtime on this machine?"
$PYTHON -m nas.search --space v2 --width 0.25 --data "imagefolder:$OUT/photos" --resolution 48 \
  --constraint "latency_ms<=1" --latency-mode onnxruntime \
  --trials 6 --epochs 6 --confirm 1 --confirm-epochs 12 --seeds 2 --out "$OUT/search"

step "Look: open $OUT/search/report.html; its figures as images"
if $PYTHON -c 'from reports import images; images.check("--png")' 2> /dev/null; then
  $PYTHON -m nas.report "$OUT/search" --png "$OUT/figures"
else
  echo "no images: nas.report --png needs Chrome or Chromium and the extra images"
fi

step "Take the confirmed network along"
$PYTHON -m nas.export "$OUT/search" --to timm,onnx --out "$OUT/export"

step "Is it as fast as the search said?"
$PYTHON -m nas.latency "$OUT"/export/*-onnx/network.onnx

step "Fine-tune the exported page with timm"
$PYTHON examples/fine_tune.py "$OUT"/export/*-timm "$OUT/photos" 10
