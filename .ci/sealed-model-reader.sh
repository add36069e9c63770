#!/usr/bin/env bash
# Sealed models through a second reader, written from docs/specs/sealed-model.md alone
# (tests/sealed-model-reader): every vector must get its code at its step.
#
#   .ci/sealed-model-reader.sh
#
# Needs Python 3 with venv, and the Python package index for `cryptography`; 77 where these are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv" || { echo "needs python3-venv"; exit 77; }
"$venv/bin/pip" install --quiet --disable-pip-version-check 'cryptography>=48' || { echo "needs cryptography 48"; exit 77; }
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" tests/sealed-model-reader/check_vectors.py tests/vectors/sealed-model
