// Models that leave the house and models that come in: the layouts of other people's tools
// [docs/interop.md].
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "experiments/stored_model.hpp"

namespace metascale {

enum class ExchangeFormat {
  gpt_neox,   // Hugging Face GPTNeoXForCausalLM: transformer
  llama,      // Hugging Face LlamaForCausalLM: transformer_pp
  rwkv,       // RWKV-LM's names: rwkv7
  fla,        // flash-linear-attention's RWKV7ForCausalLM: rwkv7
  meta_state  // our own layout: meta_state
};
const char* name_of(ExchangeFormat format);
// Throws Error{usage} naming all.
ExchangeFormat parse_exchange_format(const std::string& name);
// The one that a model is written in when nobody says.
ExchangeFormat standard_format(Architecture architecture);

// Writes folder/model.safetensors (f32) and config.json, with tokenizer.json beside where the run
// has such a file, whose end of document is bos_token_id and eos_token_id (but for rwkv). Throws
// Error{usage} where the format has no place for this model, and where anything is in folder.
void export_model(const StoredModel& stored, ExchangeFormat format,
                  const std::filesystem::path& folder);

struct ImportOptions {
  std::optional<ExchangeFormat> format;  // of itself: told by config.json, or by the tensors' names
  std::string tokenizer;                 // empty: tokenizer.json beside the model
  std::string id;                        // of the run; empty: the run folder's name
};
// source: a folder with config.json and model.safetensors (or an index of several), or a
// .safetensors file with config.json beside it, or with RWKV-LM's names. Writes a run folder with
// one checkpoint, at step 0, ready to be shown, evaluated, generated with, grown or exported.
// Throws Error{bad_input} naming file and tensor or key: what does not fit, is not finite in f32,
// is not one of ours, a tokenizer with more ids than the model; Error{usage} for a .pth, with the
// command that converts it, and where anything is in run_folder.
void import_model(const std::filesystem::path& source, const std::filesystem::path& run_folder,
                  const ImportOptions& options);

}  // namespace metascale
