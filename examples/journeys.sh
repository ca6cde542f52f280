#!/usr/bin/env bash
# The four users' journeys (docs/journeys), one after the other; stops at the first that fails. Says how long each took.
# Usage: examples/journeys.sh [OUT], with each journey's files in OUT/NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
OUT=${1:-runs/journeys/$(date +%Y%m%d-%H%M%S)}
names=(product_engineer researcher platform_team reviewer) times=()

for name in "${names[@]}"; do
  [ -f "examples/$name.sh" ] || { echo "examples/$name.sh: is missing" >&2; exit 1; }
done
for name in "${names[@]}"; do
  script=examples/$name.sh before=$SECONDS
  printf '\n==== %s\n' "$name"
  bash "$script" "$OUT/$name" || {
    code=$?
    echo "$script: failed with exit code $code after $((SECONDS - before)) s" >&2
    exit "$code"
  }
  times+=("$name $((SECONDS - before)) s")
done
printf '%s\n' '' "${times[@]}" "in all $SECONDS s, in $OUT"
