// Prints, as 32-bit floats, the scores that llama.cpp computes after the last of some tokens:
//   scores MODEL.gguf TOKEN TOKEN ...
// Keys and values are kept in single precision.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "llama.h"

int main(int count, char **arguments) {
    llama_backend_init();
    llama_model *model = llama_model_load_from_file(arguments[1], llama_model_default_params());
    if (!model) return 1;
    llama_context_params parameters = llama_context_default_params();
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 512;
    parameters.n_threads = parameters.n_threads_batch = 1;
    parameters.type_k = parameters.type_v = GGML_TYPE_F32;
    parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    llama_context *context = llama_init_from_model(model, parameters);
    std::vector<llama_token> tokens;
    for (int index = 2; index < count; index++) tokens.push_back(atoi(arguments[index]));
    if (llama_decode(context, llama_batch_get_one(tokens.data(), tokens.size()))) return 2;
    size_t vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
    fwrite(llama_get_logits_ith(context, -1), sizeof(float), vocabulary, stdout);
    return 0;
}
