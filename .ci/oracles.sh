#!/usr/bin/env bash
# Our verifier beside independent ones (.ci/oracles: sev, dcap-qvl, tdx-quote; bergshamra for NVIDIA's
# manifests, minutes to build) over captured evidence and mutated copies of it. Fails on a difference that
# src/explained.rs, or src/manifests.rs, has no reason for.
#
#   .ci/oracles.sh [MUTATIONS] [SEED]     10000 and 1 unless said otherwise
#   .ci/oracles.sh bench [ROUNDS]         times, beside sev (both of its providers) and dcap-qvl
#
# EVIDENCE names another folder of evidence than tests/vectors. Needs the crates of its own lock file
# from the package registry; the benchmark needs libssl-dev and pkg-config besides. 77 where these are
# missing.
set -euo pipefail
cd "$(dirname "$0")/oracles"
evidence=${EVIDENCE:-../../tests/vectors}

cargo fetch --locked --quiet || { echo "needs the crates of .ci/oracles/Cargo.lock"; exit 77; }
if [ "${1:-}" = bench ]; then
  pkg-config --exists libssl || { echo "needs libssl-dev and pkg-config"; exit 77; }
  cargo run --release --locked --quiet --bin bench -- "$evidence" "${@:2}"
  cargo run --release --locked --quiet --bin bench --no-default-features --features openssl -- "$evidence" "${@:2}"
else
  # With the features of the other, so that what both need is compiled once.
  cargo run --release --locked --quiet --bin compare --features manifests -- "$evidence" "$@"
  cargo run --release --locked --quiet --bin manifests --features manifests -- "$evidence" "$@"
fi
