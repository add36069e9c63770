"""PyTorch in bfloat16 on the shape of a model, with random weights: tokens a second of a prompt of 512 and of an
answer of 128, as JSON. What .ci/engine-bench.sh --torch runs in turn with our engine.

    engine-torch.py SHAPE THREADS     needs the packages torch and transformers
"""

import json
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {
    # Llama 3.2 1B
    "1b": dict(hidden_size=2048, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
               intermediate_size=8192, vocab_size=128256),
    # Qwen2.5-0.5B, whose three biases cost nothing to speak of
    "qwen-0.5b": dict(hidden_size=896, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
                      intermediate_size=4864, vocab_size=151936),
}

shape, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
torch.manual_seed(0)
torch.set_default_dtype(torch.bfloat16)
config = LlamaConfig(**SHAPES[shape], tie_word_embeddings=True, max_position_embeddings=4096)
# The usual initialisation of a billion weights takes a minute.
torch.nn.init.normal_ = lambda tensor, *_, **__: tensor
model = LlamaForCausalLM(config).eval()
with torch.no_grad():
    for weights in model.parameters():
        weights.uniform_(-0.02, 0.02)


def run(prompt, answer):
    """Seconds to the first token, and from there to the last."""
    with torch.inference_mode():
        begun = time.monotonic()
        found = model(prompt, use_cache=True, logits_to_keep=1)
        token = found.logits[:, -1].argmax(-1, keepdim=True)
        first = time.monotonic()
        for _ in range(answer):
            found = model(token, past_key_values=found.past_key_values, use_cache=True, logits_to_keep=1)
            token = found.logits[:, -1].argmax(-1, keepdim=True)
        return first - begun, time.monotonic() - first


run(torch.randint(0, 30000, (1, 512)), 2)
prefill, _ = run(torch.randint(0, 30000, (1, 512)), 0)
_, decode = run(torch.randint(0, 30000, (1, 1)), 128)
print(json.dumps({"prefill": 512 / prefill, "decode": 128 / decode, "torch": torch.__version__}))
