"""Writes a small random model of each family, and the scores that llama.cpp computes for it.

Wants the packages numpy and gguf, and the program of scores.cpp: make.py PATH-OF-SCORES
"""

import json
import subprocess
import sys

import gguf
import numpy as np

HEADS, KV_HEADS = 4, 2
VOCABULARY = 256 + 3
random = np.random.default_rng(5)


def tokens(writer):
    """Every byte as GPT-2 writes it, one merge, and two special tokens."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    rest = [byte for byte in range(256) if byte not in plain]
    names = {byte: chr(byte) for byte in plain} | {byte: chr(256 + index) for index, byte in enumerate(rest)}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([names[byte] for byte in range(256)] + ["ab", "<|endoftext|>", "<|im_end|>"])
    writer.add_token_types([1] * 257 + [3, 3])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(258)
    writer.add_add_bos_token(False)


def make(scores, family, layers=2, width=32, wide=48, head=8, base=10000.0, embedding=8.0, untied=False, keys=None):
    writer = gguf.GGUFWriter(f"{family}.gguf", family)
    tokens(writer)
    writer.add_block_count(layers)
    writer.add_context_length(512)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(wide)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(base)
    if head * HEADS != width:
        writer.add_key_length(head)
        writer.add_value_length(head)
    if family == "phi3":
        writer.add_rope_dimension_count(head)
    for key, value in (keys or {}).items():
        add = writer.add_uint32 if isinstance(value, int) else writer.add_float32
        add(f"{family}.{key}", value)

    def matrix(name, rows, columns, scale=1.0):
        numbers = random.standard_normal((rows, columns)) * scale / np.sqrt(columns)
        writer.add_tensor(name, numbers.astype(np.float32))

    def vector(name, length, middle=1.0):
        writer.add_tensor(name, (middle + 0.3 * random.standard_normal(length)).astype(np.float32))

    matrix("token_embd.weight", VOCABULARY, width, embedding)
    vector("output_norm.weight", width)
    if untied:
        matrix("output.weight", VOCABULARY, width, 4)
    query, kv = HEADS * head, KV_HEADS * head
    for layer in range(layers):
        name = f"blk.{layer}."
        vector(name + "attn_norm.weight", width)
        vector(name + "ffn_norm.weight", width)
        if family == "phi3":
            matrix(name + "attn_qkv.weight", query + 2 * kv, width, 2)
            matrix(name + "ffn_up.weight", 2 * wide, width)
        else:
            matrix(name + "attn_q.weight", query, width, 2)
            matrix(name + "attn_k.weight", kv, width, 2)
            matrix(name + "attn_v.weight", kv, width)
            matrix(name + "ffn_gate.weight", wide, width)
            matrix(name + "ffn_up.weight", wide, width)
        matrix(name + "attn_output.weight", width, query)
        matrix(name + "ffn_down.weight", width, wide)
        if family == "qwen2":
            for part, length in [("q", query), ("k", kv), ("v", kv)]:
                vector(f"{name}attn_{part}.bias", length, 0)
        if family in ("qwen3", "gemma3"):
            vector(name + "attn_q_norm.weight", head)
            vector(name + "attn_k_norm.weight", head)
        if family in ("gemma2", "gemma3"):
            vector(name + "post_attention_norm.weight", width)
            vector(name + "post_ffw_norm.weight", width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    prompt = [int(token) for token in random.integers(0, 256, 70)]
    found = subprocess.run([scores, f"{family}.gguf", *map(str, prompt)], capture_output=True, check=True).stdout
    found = [float(score) for score in np.frombuffer(found, dtype=np.float32)]
    with open(f"{family}.json", "w") as file:
        json.dump({"tokens": prompt, "scores": found}, file)


if __name__ == "__main__":
    scores = sys.argv[1]
    make(scores, "llama")
    make(scores, "qwen2", untied=True)
    make(scores, "qwen3", head=16)
    caps = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
    make(scores, "gemma2", head=16, embedding=1.0, keys={"attention.sliding_window": 20} | caps)
    local = {"attention.sliding_window": 20, "rope.freq_base_swa": 10000.0}
    make(scores, "gemma3", head=16, layers=6, base=1000000.0, embedding=1.0, keys=local)
    make(scores, "phi3")
