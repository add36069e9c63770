#!/usr/bin/env bash
# Sealing and loading beside other programs that encrypt a model, on one file, in one run: a table with
# time, processor time and peak memory. Results are in docs/benchmarks.md.
#
#   .ci/sealed-model-bench.sh [DIRECTORY [GIGABYTES [NAME...]]]
#
# Names choose among plain, strongroom, openssl, age, gocryptfs, cryptotensors and tensorizer.
# Needs four times the size on disk, Python 3 and the package index; age, gocryptfs and openssl where they
# can be had (each that cannot is named). tensorizer needs PyTorch, which is several gigabytes and is not
# installed here: it is measured where TENSORIZER_PYTHON names a Python that has both. Exit codes: 0 measured; 77 something needed cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
directory=${1:-${TMPDIR:-/tmp}} gigabytes=${2:-4} names=("${@:3}")

command -v python3 >/dev/null || { echo "sealed-model-bench: Python 3 is missing" >&2; exit 77; }
for pair in age:age gocryptfs:gocryptfs fusermount:fuse openssl:openssl; do
  command -v "${pair%%:*}" >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${pair##*:}"; } >/dev/null 2>&1 \
    || echo "sealed-model-bench: ${pair##*:} cannot be had, and is left out" >&2
done
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT
python3 -m venv "$venv" && "$venv/bin/pip" install --quiet cryptotensors==0.2.3 numpy cryptography || {
  echo "sealed-model-bench: the Python packages cannot be installed" >&2
  exit 77
}
cargo build --release --locked --quiet
"$venv/bin/python" .ci/sealed-model-bench.py target/release/strongroom "$directory" "$gigabytes" "${names[@]}"
