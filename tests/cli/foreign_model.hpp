// A Llama-like model of one layer without tensors, as somebody else may have left it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/atomic_file.hpp"

namespace metascale::testing {

inline std::filesystem::path write_foreign_model(const std::filesystem::path& folder, int width,
                                                 int heads, int vocabulary) {
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "model.safetensors", std::string("\x02\0\0\0\0\0\0\0{}", 10));
  write_file_atomically(folder / "config.json", nlohmann::json{{"model_type", "llama"},
                                                               {"hidden_size", width},
                                                               {"num_hidden_layers", 1},
                                                               {"num_attention_heads", heads},
                                                               {"intermediate_size", 4},
                                                               {"rms_norm_eps", 1e-5},
                                                               {"vocab_size", vocabulary}}
                                                    .dump());
  return folder;
}

}  // namespace metascale::testing
