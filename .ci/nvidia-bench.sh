#!/usr/bin/env bash
# One captured GPU with two manifests: ours, and NVIDIA's Python verifier, in one run on one machine.
#
#   .ci/nvidia-bench.sh [ROUNDS]     of the peer; 41 unless said otherwise
#
# Needs Python 3 with venv, and the Python package index for nv-local-gpu-verifier; 77 where these are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv" || { echo "needs python3-venv"; exit 77; }
"$venv/bin/pip" install --quiet --disable-pip-version-check nv-local-gpu-verifier==2.7.3 || { echo "needs nv-local-gpu-verifier"; exit 77; }
cargo bench --locked --quiet -p strongroom-attestation --bench devices
"$venv/bin/python" .ci/nvidia-peer.py tests/vectors "${1:-41}"
