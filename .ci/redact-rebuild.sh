#!/usr/bin/env bash
# Rebuilds the example plugin twice, once from a copy of its sources at another path, and
# compares both with the committed component, byte for byte.
#
# Exit codes: 0 the same; 1 different, or the build failed; 2 a needed tool is missing, or
# is another version than the committed component was built with, so nothing was compared.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
plugin=examples/plugin-redact
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # SOURCES OUTPUT
    "$1/$plugin/build.sh" "$2" || {
        code=$?
        [ "$code" -eq 2 ] && exit 2
        echo "redact-rebuild: the build of $1/$plugin failed" >&2
        exit 1
    }
}

echo "redact-rebuild: building here"
build "$repository" "$work/here"

if ! diff -u "$repository/$plugin/redact.wasm.toolchain" "$work/here/redact.wasm.toolchain" >&2; then
    echo "redact-rebuild: another toolchain than the committed component's: NOT COMPARED." >&2
    echo "Install the versions marked '-', or run $plugin/build.sh and commit its three files." >&2
    exit 2
fi

echo "redact-rebuild: building from another path"
other=$work/some/other/place
mkdir -p "$other"
# Everything that goes into the bytes; the tool that wraps them runs from the repository.
(cd "$repository" && tar -cf - --exclude=target runtime/wit "$plugin") | tar -xf - -C "$other"
STRONGROOM_WORKSPACE=$repository build "$other" "$work/there"

status=0
for built in here there; do
    if ! cmp "$repository/$plugin/redact.wasm" "$work/$built/redact.wasm"; then
        echo "redact-rebuild: the component built $built differs from the committed one" >&2
        status=1
    fi
done
(cd "$repository/$plugin" && sha256sum --check --quiet redact.wasm.sha256) || status=1
[ "$status" -eq 0 ] && echo "redact-rebuild: the same bytes from two paths, and as committed"
exit "$status"
