//! Limits and defaults, in one place. A model file comes from a publisher whom the engine
//! does not trust to be well-behaved: each number below bounds what such a file can cost.

/// Bytes of a GGUF header (metadata and tensor table). The largest vocabularies in use need about 12 MiB.
pub(crate) const GGUF_HEADER_BYTES: u64 = 128 << 20;
/// Entries of GGUF metadata; models in use have fewer than 100.
pub(crate) const GGUF_METADATA_ENTRIES: u64 = 4096;
/// Tensors in one model; 126 layers of a 405-billion-parameter Llama make 1,137.
pub(crate) const TENSORS: u64 = 65_536;
/// Bytes of one metadata key or tensor name.
pub(crate) const NAME_BYTES: u64 = 1024;
/// Bytes of one metadata text, which covers the longest chat templates in use many times.
pub(crate) const TEXT_BYTES: u64 = 4 << 20;
/// Elements of one metadata array: vocabularies and merges have fewer than 300,000.
pub(crate) const ARRAY_ELEMENTS: u64 = 4 << 20;
/// Elements of one tensor.
pub(crate) const TENSOR_ELEMENTS: u64 = 1 << 38;
/// Bytes of a safetensors header.
pub(crate) const SAFETENSORS_HEADER_BYTES: u64 = 64 << 20;
/// Bytes of a JSON file beside the weights (`tokenizer.json` of a large vocabulary has about 20 MiB).
pub(crate) const JSON_FILE_BYTES: u64 = 96 << 20;
/// Tokens in a vocabulary.
pub(crate) const VOCABULARY: usize = 1 << 20;
/// Numbers of tokens that may be unused in any vocabulary, be it ever so small.
pub(crate) const NUMBER_GAP: usize = 4096;
/// Bytes of one special token; those in use have fewer than 64.
pub(crate) const SPECIAL_BYTES: usize = 256;
/// Bytes of one piece of text in a SentencePiece vocabulary; those in use have 93 at most.
pub(crate) const PIECE_BYTES: usize = 256;
/// User-defined tokens that are whole in any text; Gemma has 162.
pub(crate) const WHOLE_TOKENS: usize = 4096;
/// Tokens that end a turn; models in use have three at most.
pub(crate) const TURN_ENDS: usize = 64;
/// Dimensions of one tensor.
pub(crate) const DIMENSIONS: usize = 4;
/// Layers of a transformer.
pub(crate) const LAYERS: u64 = 1024;
/// Width of the residual stream, and of the feed-forward part.
pub(crate) const WIDTH: u64 = 1 << 18;
/// Attention heads in a layer.
pub(crate) const HEADS: u64 = 1024;
/// Bytes that one position takes in the cache: a file of few bytes must not make every sequence cost
/// gigabytes. A 405-billion-parameter Llama takes 1 MiB.
pub(crate) const CACHE_POSITION_BYTES: usize = 8 << 20;
/// Positions that a model may say it was trained for.
pub(crate) const CONTEXT: u64 = 1 << 24;

/// Characters of a file's own text that an error passes on.
pub(crate) const QUOTED: usize = 300;

/// Bytes of a chat template; those in use have fewer than 64 KiB.
pub(crate) const TEMPLATE_BYTES: usize = 1 << 20;
/// Spaces that a chat template may indent by.
pub(crate) const TEMPLATE_INDENT: usize = 64;
/// Bytes that a chat template may write.
pub(crate) const TEMPLATE_OUTPUT_BYTES: usize = 16 << 20;
/// Instructions that a chat template may execute (well under a second; a message takes about 50).
pub(crate) const TEMPLATE_FUEL: u64 = 5_000_000;
/// Characters of a template's own refusal that are passed on.
pub(crate) const TEMPLATE_REFUSAL: usize = 300;
/// Nesting of macros and blocks in a chat template.
pub(crate) const TEMPLATE_RECURSION: usize = 64;

/// Positions that a sequence may have unless [`crate::LoadOptions`] says otherwise; the
/// cache of one sequence of a 0.5-billion-parameter model is then at most 200 MB.
pub(crate) const DEFAULT_CONTEXT: usize = 8192;
/// Bytes of keys and values of all sequences together, unless [`crate::LoadOptions`] says otherwise.
pub(crate) const DEFAULT_CACHE_BYTES: usize = 2 << 30;
/// Positions of room that a new cache starts with.
pub(crate) const CACHE_START: usize = 256;
/// Prompt tokens in one step while another stream is decoding, so that it does not stall.
pub(crate) const PREFILL_SHARED: usize = 120;
/// Prompt tokens in one step when nobody else waits.
pub(crate) const PREFILL_ALONE: usize = 480;
/// Texts that end a generation.
pub(crate) const STOP_TEXTS: usize = 16;
/// Bytes of one text that ends a generation.
pub(crate) const STOP_BYTES: usize = 1024;
/// Tokens whose scores one request may bias.
pub(crate) const LOGIT_BIASES: usize = 1024;
/// Likeliest tokens that come with each token of an answer.
pub(crate) const LOGPROBS: usize = 20;
/// Bytes of a JSON schema that an answer must follow.
pub(crate) const SCHEMA_BYTES: usize = 64 << 10;
/// Work for compiling one, in the library's units, of which it does some 50,000 a millisecond.
pub(crate) const SCHEMA_FUEL: u64 = 1_000_000;
/// Symbols in the grammar that comes of it.
pub(crate) const GRAMMAR_SIZE: usize = 200_000;
/// Schemas that are compiled at one time.
pub(crate) const COMPILING: usize = 8;
/// States of the automaton that tells words apart, at some 2 kB each: what one answer may keep.
pub(crate) const LEXER_STATES: usize = 10_000;
/// Work before each token: some 14,000 units a millisecond. Other streams wait meanwhile.
pub(crate) const STEP_FUEL: u64 = 100_000;
/// The same in items of the parser: some 20,000 a millisecond.
pub(crate) const GRAMMAR_ITEMS: usize = 25_000;

/// Positions that an encoder may have; BERT has 512.
pub(crate) const ENCODER_POSITIONS: u64 = 8192;
/// Numbers that an encoder computes for one row at a time, in all its buffers: a file of few bytes must not
/// make a step cost gigabytes. BERT's large model has 10,240.
pub(crate) const ENCODER_ROW: usize = 1 << 16;
/// Kinds of segments that an encoder tells apart; BERT has two.
pub(crate) const SEGMENT_KINDS: u64 = 256;
/// Rows (tokens) of an encoder's step, unless one text alone has more: few enough that what a layer makes of
/// them (6 kB a row in a small model) is still in a cache when the next product reads it.
pub(crate) const ENCODER_ROWS: usize = 384;
/// Characters of a word that a tokenizer may look for pieces in; files in use say 100.
pub(crate) const WORD_CHARACTERS: u64 = 1000;
/// Special tokens around each text; BERT has one in front and one behind.
pub(crate) const AROUND: usize = 16;
