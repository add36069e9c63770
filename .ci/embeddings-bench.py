"""What .ci/embeddings-bench.sh runs: our encoder and onnxruntime in turn, on the same tokens, and a table of medians
of milliseconds a batch: by the clock, and of the process's processor time (one thread), which says something on a
machine that does other things, too.

    embeddings-bench.py EMBED MODEL      EMBED is the engine's example program, MODEL a directory

onnxruntime gets two graphs: of plain operators, which it fuses itself, and of its own fused ones; the faster counts.
"""
import json, os, resource, statistics, subprocess, sys, tempfile, time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

EMBED, MODEL = sys.argv[1:3]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
# Texts, tokens of each, runs a round.
BATCHES = [(1, 16, 50), (32, 32, 10), (32, 128, 4)]
# Words of one token each.
WORDS = "the of and to in is that for it was on are as with his they at be this from have or by one had not".split()


def graph(fused):
    with open(f"{MODEL}/config.json") as file:
        config = json.load(file)
    tensors, nodes, constants = load_file(f"{MODEL}/model.safetensors"), [], {}
    width, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]

    def put(name, array):
        constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def op(kind, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"n{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    def own(kind, *inputs, **attributes):
        return op(kind, *inputs, domain="com.microsoft", **attributes)

    same = lambda name: put(name, tensors[name].astype(np.float32))
    product = lambda x, name: op("MatMul", x, put(f"{name}.turned", tensors[f"{name}.weight"].astype(np.float32).T))
    dense = lambda x, name: op("Add", product(x, name), same(f"{name}.bias"))
    norm = lambda x, name: op("LayerNormalization", x, same(f"{name}.weight"), same(f"{name}.bias"), axis=-1, epsilon=epsilon)
    integers = lambda name, *numbers: put(name, np.array(numbers, np.int64))

    length = op("Shape", "ids", start=1, end=2)
    positions = op("Slice", same("embeddings.position_embeddings.weight"), integers("zero", 0), length, integers("axis", 0))
    x = op("Add", op("Gather", same("embeddings.word_embeddings.weight"), "ids"), positions)
    x = op("Add", x, put("segment", tensors["embeddings.token_type_embeddings.weight"][0].astype(np.float32)))
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        three = [f"{name}.attention.self.{which}" for which in ("query", "key", "value")]
        if fused:
            weights = put(f"{name}.three", np.concatenate([tensors[f"{one}.weight"].T for one in three], 1))
            biases = put(f"{name}.biases", np.concatenate([tensors[f"{one}.bias"] for one in three]))
            attended = own("Attention", x, weights, biases, num_heads=heads)
        else:
            split, merge = integers("split", 0, 0, heads, width // heads), integers("merge", 0, 0, width)
            turns = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]]
            query, key, value = (op("Transpose", op("Reshape", dense(x, one), split), perm=turn) for one, turn in zip(three, turns))
            root = put("root", np.array((width // heads) ** 0.5, np.float32))
            weights = op("Softmax", op("Div", op("MatMul", query, key), root), axis=-1)
            attended = op("Reshape", op("Transpose", op("MatMul", weights, value), perm=[0, 2, 1, 3]), merge)

        def add_normed(x, inner, dense_name, norm_name):
            if not fused:
                return norm(op("Add", dense(inner, dense_name), x), norm_name)
            parts = [same(f"{norm_name}.weight"), same(f"{norm_name}.bias"), same(f"{dense_name}.bias")]
            return own("SkipLayerNormalization", product(inner, dense_name), x, *parts, epsilon=epsilon)

        x = add_normed(x, attended, f"{name}.attention.output.dense", f"{name}.attention.output.LayerNorm")
        if fused:
            wide = own("BiasGelu", product(x, f"{name}.intermediate.dense"), same(f"{name}.intermediate.dense.bias"))
        else:
            wide = op("Gelu", dense(x, f"{name}.intermediate.dense"), approximate="none")
        x = add_normed(x, wide, f"{name}.output.dense", f"{name}.output.LayerNorm")
    mean = op("ReduceMean", x, integers("one", 1), keepdims=0)
    nodes.append(helper.make_node("LpNormalization", [mean], ["vector"], axis=1, p=2))
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "tokens"])]
    outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["texts", width])]
    whole = helper.make_graph(nodes, "encoder", inputs, outputs, list(constants.values()))
    versions = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(whole, opset_imports=versions)
    model.ir_version = 10
    return model.SerializeToString()


def used(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def run_ours(texts, threads, *more):
    command, before = [EMBED, MODEL, str(threads), *more], used(resource.RUSAGE_CHILDREN)
    out = subprocess.run(command, input=texts, capture_output=True, text=True, check=True).stdout
    return out, (used(resource.RUSAGE_CHILDREN) - before) * 1000


def ours(texts, threads, runs):
    _, once = run_ours(texts, threads, "time", "1")
    out, all_of_them = run_ours(texts, threads, "time", str(runs + 1))
    return float(out.split()[-2]), (all_of_them - once) / runs


def theirs(session, ids, runs):
    times, before = [], used(resource.RUSAGE_SELF)
    for _ in range(runs):
        begun = time.perf_counter()
        session.run(None, {"ids": ids})
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times), (used(resource.RUSAGE_SELF) - before) * 1000 / runs


graphs = {"plain": graph(False), "fused": graph(True)}
print("| texts × tokens | threads | | ours | onnxruntime | ratio | spread of ours |")
print("|---|---|---|---|---|---|---|")
for threads in (1, 2):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = [onnxruntime.InferenceSession(bytes_, options, providers=["CPUExecutionProvider"]) for bytes_ in graphs.values()]
    for count, length, runs in BATCHES:
        words = lambda text: (WORDS[(text * 31 + at * 7) % len(WORDS)] for at in range(length - 2))
        texts = "\n".join(json.dumps(" ".join(words(text))) for text in range(count)) + "\n"
        found = [json.loads(line) for line in run_ours(texts, threads)[0].splitlines()]
        ids, vectors = np.array([one["ids"] for one in found]), np.array([one["vector"] for one in found])
        assert ids.shape == (count, length), ids.shape
        for session in sessions:
            apart = np.abs(session.run(None, {"ids": ids})[0] - vectors).max()
            assert apart < 1e-5, f"the vectors are {apart} apart"
        rounds = [(ours(texts, threads, runs), [theirs(session, ids, runs) for session in sessions]) for _ in range(ROUNDS)]
        for at, what in enumerate(("clock", "processor")[: 2 if threads == 1 else 1]):
            mine = statistics.median(first[at] for first, _ in rounds)
            other = min(statistics.median(both[index][at] for _, both in rounds) for index in range(2))
            low, high = (edge(first[at] for first, _ in rounds) for edge in (min, max))
            print(f"| {count} × {length} | {threads} | {what} | {mine:.1f} | {other:.1f} | {other / mine:.2f} | {low:.1f} to {high:.1f} |", flush=True)
