#!/usr/bin/env bash
# The engine beside llama.cpp, on the same files and threads, in one run: rounds in turn, medians, ratios.
# Results are in docs/benchmarks.md.
#
#   LLAMA=DIRECTORY .ci/engine-bench.sh MODEL.gguf...           prompt and answer, 1 and 2 threads
#   LLAMA=DIRECTORY .ci/engine-bench.sh --streams MODEL.gguf    8, 16 and 32 at once, against llama-server
#   LLAMA=DIRECTORY .ci/engine-bench.sh --greedy MODEL.gguf FILE   the likeliest continuation of each line
#   LLAMA=DIRECTORY .ci/engine-bench.sh --perplexity MODEL.gguf FILE
#   .ci/engine-bench.sh --torch PYTHON SHAPE MODEL.gguf...      beside PyTorch on the same shape (engine-torch.py)
#
# LLAMA has llama-bench, llama-server, llama-completion and llama-perplexity, built for this machine:
# the source distribution of llama-cpp-python has them under vendor/llama.cpp;
# `cmake -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DBUILD_SHARED_LIBS=OFF`. Built with
# gcc 12 it crashes on processors with AMX (docs/benchmarks.md). ROUNDS sets how many, 5 unless said.
# Exit codes: 0 measured; 77 something needed cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "${1:-}" = --torch ] || [ -x "${LLAMA:-}/llama-bench" ] || { echo "engine-bench: LLAMA names no directory with llama-bench" >&2; exit 77; }
command -v python3 >/dev/null || { echo "engine-bench: Python 3 is missing" >&2; exit 77; }
cargo build --release --locked --quiet -p strongroom-engine --example measure
python3 .ci/engine-bench.py target/release/examples/measure "${LLAMA:-}" "$@"
