#!/usr/bin/env bash
# The verifier as a web page has it: builds the module, and holds it against the native verifier on
# every vector, byte for byte, in Node; then drives the example page in a headless Chromium.
#
# Needs Debian's rustc-web, cargo-web, rust-web-src and chromium, which it installs where it may,
# and Node 18 or later. Exit codes: 0 all agree; 1 not; 77 something needed cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v node >/dev/null || { echo "browser: Node is missing" >&2; exit 77; }
packages=(rustc-web cargo-web rust-web-src)
command -v chromium >/dev/null || packages+=(chromium)
if ! dpkg-query -W -f='${Status}\n' "${packages[@]}" 2>/dev/null | grep -c 'install ok installed' | grep -qx "${#packages[@]}"; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >/dev/null || {
    echo "browser: cannot install ${packages[*]}" >&2
    exit 77
  }
fi

crate=attestation/browser
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/$crate/target}
module=$(mktemp -d)
trap 'rm -rf "$module"' EXIT

(cd "$crate" && cargo fmt --all --check)
"$crate/build.sh" "$module"
# The native side has the native provider of cryptography: two implementations, one answer.
(cd "$crate" && cargo build --release --locked --quiet --no-default-features --features aws-lc --example native)
(cd "$crate" && cargo clippy --release --locked --quiet --all-targets -- -D warnings)
node "$crate/tests/compare.mjs" "$module" "$CARGO_TARGET_DIR/release/examples/native" tests/vectors
node "$crate/tests/smoke.mjs" "$(command -v chromium)" examples/browser "$module" tests/vectors
