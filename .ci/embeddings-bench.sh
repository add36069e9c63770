#!/usr/bin/env bash
# Embeddings of a real model by our engine (release build) beside onnxruntime's: rounds in turn, medians, ratios.
# Results are in docs/benchmarks.md.
#
#   .ci/embeddings-bench.sh MODEL      MODEL is a directory with all-MiniLM-L6-v2, as .ci/embeddings.sh fetches it
#
# ROUNDS sets how many, 5 unless said. EMBED names a built example program. Needs Python 3 with venv, and the Python
# package index; 77 where these are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv" || { echo "needs python3-venv"; exit 77; }
"$venv/bin/pip" install --quiet --disable-pip-version-check numpy onnx onnxruntime safetensors ||
  { echo "needs numpy, onnx, onnxruntime, safetensors"; exit 77; }
if [ -z "${EMBED:-}" ]; then
  cargo build --release --locked --quiet -p strongroom-engine --example embed
  EMBED=${CARGO_TARGET_DIR:-target}/release/examples/embed
fi
"$venv/bin/python" .ci/embeddings-bench.py "$EMBED" "$1"
