#!/usr/bin/env bash
# Builds the module for web pages: strongroom_browser_bg.wasm, with its JavaScript and types.
#
#   build.sh OUTPUT_DIRECTORY
#
# The rustup toolchain brings the linker (rust-lld) and builds bindgen/; it has no standard library
# for wasm32. Debian's "web" toolchain brings that as source:
#   apt-get install --no-install-recommends rustc-web cargo-web rust-web-src
#
# Exit codes: 0 built; 1 a build failed; 2 wrong usage; 77 a needed tool is missing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { echo "build.sh: wanted OUTPUT_DIRECTORY" >&2; exit 2; }
output=$(mkdir -p "$1" && cd "$1" && pwd)
target=${CARGO_TARGET_DIR:-$here/target}

for package in rustc-web cargo-web rust-web-src; do
    if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
        echo "build.sh: the Debian package '$package' is missing. Install it with:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends rustc-web cargo-web rust-web-src" >&2
        exit 77
    fi
done
cd "$here"
rustc=$(command -v rustc)
linker=$("$rustc" --print sysroot)/lib/rustlib/$("$rustc" -vV | sed -n 's/^host: //p')/bin/rust-lld
if [ ! -x "$linker" ]; then
    echo "build.sh: no rust-lld at $linker; wanted: the rustup toolchain that builds the workspace." >&2
    exit 77
fi

# A verifier in a page must not carry a native provider of cryptography.
tree=$(cargo tree --locked --prefix none --edges normal --target wasm32-unknown-unknown)
if banned=$(grep -E '^(aws-lc-|ring )' <<<"$tree"); then
    echo "build.sh: the module would reach native code: $banned" >&2
    exit 1
fi

# Paths are renamed so that they do not reach the bytes. A panic is a trap without text: the page
# gets an exception, and no verdict.
flags=(
    "--remap-path-prefix=$(cd ../.. && pwd)=/strongroom"
    "--remap-path-prefix=$target=/target"
    -Zunstable-options
    -Cpanic=immediate-abort
    -Zlocation-detail=none
)
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    flags+=("--remap-path-prefix=${registry%/}=/registry")
done
encoded=$(printf '%s\x1f' "${flags[@]}")
env -u RUSTFLAGS -u RUSTUP_TOOLCHAIN \
    RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc \
    CARGO_TARGET_DIR="$target" \
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker" \
    CARGO_ENCODED_RUSTFLAGS="${encoded%$'\x1f'}" \
    /usr/bin/cargo build --locked --quiet --release --lib -p strongroom-browser \
    --target wasm32-unknown-unknown -Zbuild-std=std,panic_abort
CARGO_TARGET_DIR=$target cargo run --locked --quiet -p strongroom-browser-bindgen -- \
    "$target/wasm32-unknown-unknown/release/strongroom_browser.wasm" "$output"

module=$output/strongroom_browser_bg.wasm
echo "$module: $(stat -c %s "$module") bytes, $(gzip -9 -c "$module" | wc -c) compressed, sha256 $(sha256sum "$module" | cut -d' ' -f1)"
