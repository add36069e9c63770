"""What .ci/engine-bench.sh runs: our engine and llama.cpp in turn, and a table of medians and ratios."""

import concurrent.futures
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

measure, llama = sys.argv[1:3]
ROUNDS = int(os.environ.get("ROUNDS", "5"))


def ours(*arguments):
    found = subprocess.run([measure, *map(str, arguments)], capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def llama_bench(model, threads):
    command = [f"{llama}/llama-bench", "-m", model, "-p", "512", "-n", "128", "-t", str(threads), "-r", "1", "-o", "json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {("prefill" if test["n_prompt"] else "decode"): test["avg_ts"] for test in found}


def speed(models):
    print("| file | threads | | ours | llama.cpp | ratio | spread of ours |")
    print("|---|---|---|---|---|---|---|")
    for model in models:
        for threads in (1, 2):
            rounds = [(ours("speed", model, threads), llama_bench(model, threads)) for _ in range(ROUNDS)]
            for what in ("prefill", "decode"):
                mine = statistics.median(first[what] for first, _ in rounds)
                theirs = statistics.median(second[what] for _, second in rounds)
                low, high = (edge(first[what] for first, _ in rounds) for edge in (min, max))
                name = os.path.basename(model)
                print(f"| {name} | {threads} | {what} | {mine:.1f} | {theirs:.1f} | {mine / theirs:.2f} | {low:.1f} to {high:.1f} |")
            memory = rounds[-1][0]
            print(f"| | {threads} | resident | {memory['resident_mib']} MiB for a file of {memory['file_mib']} | | |"
                  f" loaded in {memory['load_seconds']:.2f} s |", flush=True)


def beside_torch(python, shape, models):
    """PyTorch computes in bfloat16 whatever the file is packed in."""
    script = os.path.join(os.path.dirname(__file__), "engine-torch.py")
    torch = lambda threads: json.loads(subprocess.run([python, script, shape, str(threads)], capture_output=True,
                                                      text=True, check=True).stdout)
    print("| file | threads | | ours | PyTorch | ratio |")
    print("|---|---|---|---|---|---|")
    for threads in (1, 2):
        rounds = [([ours("speed", model, threads) for model in models], torch(threads)) for _ in range(ROUNDS)]
        for index, model in enumerate(models):
            for what in ("prefill", "decode"):
                mine = statistics.median(first[index][what] for first, _ in rounds)
                theirs = statistics.median(second[what] for _, second in rounds)
                name = os.path.basename(model)
                print(f"| {name} | {threads} | {what} | {mine:.1f} | {theirs:.1f} | {mine / theirs:.2f} |", flush=True)


def server_streams(model, count):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [f"{llama}/llama-server", "-m", model, "--port", str(port), "-t", "2", "-tb", "2", "-np", str(count)]
    command += ["-c", str(count * 512), "--no-webui", "-lv", "0"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
                break
            except OSError:
                time.sleep(0.1)
        begun = time.monotonic()

        def one(index):
            state, prompt = index * 7919 + 1, []
            for _ in range(128):
                state = (state * 1103515245 + 12345) % 2**31
                prompt.append(state % 29000)
            body = {"prompt": prompt, "n_predict": 128, "temperature": 0, "ignore_eos": True, "stream": True,
                    "cache_prompt": False}
            request = urllib.request.Request(f"http://127.0.0.1:{port}/completion", json.dumps(body).encode(),
                                             {"Content-Type": "application/json"})
            first = None
            with urllib.request.urlopen(request) as answer:
                for line in answer:
                    if line.startswith(b"data:") and first is None:
                        first = time.monotonic() - begun
            return first

        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            firsts = sorted(pool.map(one, range(count)))
        seconds = time.monotonic() - begun
        return {"tokens_per_second": count * 256 / seconds, "first_token_p95": firsts[round((count - 1) * 0.95)]}
    finally:
        server.kill()
        server.wait()


def streams(model):
    print("| streams | ours, tokens/s | llama-server | ratio | first token, 95th of 100, ours | llama-server |")
    print("|---|---|---|---|---|---|")
    for count in (8, 16, 32):
        rounds = [(ours("streams", model, 2, count, 128, 128), server_streams(model, count)) for _ in range(min(ROUNDS, 3))]
        of = lambda side, what: statistics.median(both[side][what] for both in rounds)
        mine, theirs = of(0, "tokens_per_second"), of(1, "tokens_per_second")
        print(f"| {count} | {mine:.0f} | {theirs:.0f} | {mine / theirs:.2f} |"
              f" {of(0, 'first_token_p95'):.2f} s | {of(1, 'first_token_p95'):.2f} s |", flush=True)


def greedy(model, file):
    answers, equal = ours("greedy", model, 2, file, 64), 0
    lines = open(file).read().splitlines()
    for line, answer in zip(lines, answers):
        command = [f"{llama}/llama-completion", "-m", model, "-p", line, "-n", "64", "--temp", "0", "-no-cnv"]
        command += ["--no-display-prompt", "-t", "2", "--no-warmup", "-lv", "0"]
        theirs = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        theirs = theirs.replace(" [end of text]", "").strip()
        mine = answer["text"].strip()
        same = next((at for at, (a, b) in enumerate(zip(mine, theirs)) if a != b), min(len(mine), len(theirs)))
        # The last character may be half a one.
        if same >= min(len(mine), len(theirs)) - 2:
            equal += 1
            continue
        at = len(answer["text"][: answer["text"].find(mine) + same].encode())
        gap = next((gap for end, gap in answer["gaps"] if end > at), float("nan"))
        print(f"{line[:40]!r}: apart after {same} characters, where the second likeliest was {gap:.3f} behind")
    print(f"{equal} of {len(lines)} equal")


def perplexity(model, file):
    mine = ours("perplexity", model, 2, file, 512)
    command = [f"{llama}/llama-perplexity", "-m", model, "-f", file, "-c", "512", "-t", "2"]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = float(re.search(r"Final estimate: PPL = ([0-9.]+)", output.stdout + output.stderr).group(1))
    print(f"ours {mine['perplexity']:.4f}, llama.cpp {theirs:.4f}, ratio {mine['perplexity'] / theirs:.4f}")


match sys.argv[3:]:
    case ["--streams", model]:
        streams(model)
    case ["--greedy", model, file]:
        greedy(model, file)
    case ["--perplexity", model, file]:
        perplexity(model, file)
    case ["--torch", python, shape, *models]:
        beside_torch(python, shape, models)
    case models:
        speed(models)
