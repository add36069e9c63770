#!/usr/bin/env bash
# Builds redact.wasm (a component without imports) from this crate, with
# redact.wasm.sha256 and redact.wasm.toolchain beside it.
#
#   build.sh [OUTPUT_DIRECTORY]      default: this folder, whose three files are committed
#
# STRONGROOM_WORKSPACE names the repository whose tool wraps the module, when that is not
# the one these sources lie in.
#
# The rustup toolchain brings the linker (rust-lld), not the standard library for wasm32.
# Debian's "web" toolchain brings that as source:
#   apt-get install --no-install-recommends rustc-web cargo-web rust-web-src
#
# The same toolchain gives the same bytes, wherever the repository lies.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
workspace=${STRONGROOM_WORKSPACE:-$repository}
output=$(mkdir -p "${1:-$here}" && cd "${1:-$here}" && pwd)

rustc=/usr/bin/rustc
cargo=/usr/bin/cargo
for package in rustc-web cargo-web rust-web-src; do
    if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then
        echo "build.sh: the Debian package '$package' is missing. Install it with:" >&2
        echo "  apt-get update && apt-get install --no-install-recommends rustc-web cargo-web rust-web-src" >&2
        exit 2
    fi
done

workspace_rustc=$(cd "$workspace" && command -v rustc)
linker=$("$workspace_rustc" --print sysroot)/lib/rustlib/$("$workspace_rustc" -vV | sed -n 's/^host: //p')/bin/rust-lld
if [ ! -x "$linker" ]; then
    echo "build.sh: no rust-lld at $linker; wanted: the rustup toolchain that builds the workspace." >&2
    exit 2
fi

target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT

# Nothing of where this happens may reach the bytes: paths are renamed, and panics abort
# without message or source location (a trap is all that the host sees of them anyway).
flags=(
    "--remap-path-prefix=$repository=/strongroom"
    "--remap-path-prefix=$target=/target"
    -Zunstable-options
    -Cpanic=immediate-abort
    -Zlocation-detail=none
)
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    flags+=("--remap-path-prefix=${registry%/}=/registry")
done
encoded=$(printf '%s\x1f' "${flags[@]}")

(
    cd "$here"
    env -u RUSTFLAGS -u RUSTUP_TOOLCHAIN \
        RUSTC_BOOTSTRAP=1 RUSTC="$rustc" \
        CARGO_TARGET_DIR="$target" \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker" \
        CARGO_ENCODED_RUSTFLAGS="${encoded%$'\x1f'}" \
        "$cargo" build --locked --release --lib --target wasm32-unknown-unknown \
        -Zbuild-std=std,panic_abort
)
module=$target/wasm32-unknown-unknown/release/plugin_redact.wasm

# The workspace's own tool makes the module a component, and loads it once as the server would.
(
    cd "$workspace"
    cargo build --workspace --quiet --locked --profile ci --example componentize
    "${CARGO_TARGET_DIR:-target}/ci/examples/componentize" "$module" "$output/redact.wasm"
)

cd "$output"
sha256sum redact.wasm >redact.wasm.sha256
{
    echo "rustc: $("$rustc" --version)"
    echo "linker: $("$linker" -flavor wasm --version)"
    echo "wit-component: $(sed -n '/^name = "wit-component"/{n;s/version = "\(.*\)"/\1/p}' "$workspace/Cargo.lock" | sort -V | tail -1)"
} >redact.wasm.toolchain
echo "$output/redact.wasm: $(stat -c %s redact.wasm) bytes, sha256 $(cut -d' ' -f1 redact.wasm.sha256)"
