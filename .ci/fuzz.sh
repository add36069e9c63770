#!/usr/bin/env bash
# Fuzzes every parser that faces an enemy (tests/fuzz): no panic, no more memory than the target's bound.
#
#   .ci/fuzz.sh [SECONDS] [TARGET...]     each target so long; 60 seconds unless said otherwise;
#                                         as many at once as there are processors
#   .ci/fuzz.sh runs=N [TARGET...]        each target so many executions
#
# Needs cargo-fuzz (cargo install cargo-fuzz) and a C++ compiler; 77 where one is missing. Corpora are
# made from tests/vectors (EVIDENCE names another folder of evidence), grow in tests/fuzz/corpus, and
# are not committed. A finding is left in tests/fuzz/artifacts, and the script fails.
set -euo pipefail
cd "$(dirname "$0")/../tests/fuzz"

for needed in cargo-fuzz c++; do
  command -v "$needed" >/dev/null || { echo "needs $needed"; exit 77; }
done

limit=-max_total_time=60
case ${1:-} in
  runs=*) limit=-runs=${1#runs=}; shift ;;
  [0-9]*) limit=-max_total_time=$1; shift ;;
esac
# Without a sanitizer: what is fuzzed has no unsafe code but the kernels, whose slices check their lengths, and this is
# many times as fast. The coverage that
# the fuzzer steers by is in every toolchain.
fuzz() { cargo fuzz "$1" --fuzz-dir . -s none "${@:2}"; }

fuzz build
cargo run --release --quiet --example seeds -- "${EVIDENCE:-../vectors}" corpus
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list --fuzz-dir .)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
one() { # TARGET
  # A machine's report with its chain, or a quote with its own, is 6 KiB. Larger inputs are larger copies
  # of the same parts, at a tenth of the speed.
  local length=()
  [ "$1" != artefacts ] || length=(-max_len=16384)
  fuzz run "$1" -- "$limit" "${length[@]}" -timeout=60 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
    >"$logs/$1" 2>&1 || touch "$logs/$1.failed"
  # In one piece, since others run meanwhile.
  printf '== %s\n%s\n' "$1" "$(cat "$logs/$1")"
}
for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
  one "$target" &
done
wait
# How near to their bounds the allocations came.
cargo run --release --quiet --example replay -- corpus
shopt -s nullglob
failed=("$logs"/*.failed)
[ ${#failed[@]} -eq 0 ] || { echo "findings in: $(basename -s .failed -a "${failed[@]}" | tr '\n' ' ')"; exit 1; }
