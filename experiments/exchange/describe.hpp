// config.json, both ways.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "experiments/exchange.hpp"

namespace metascale::exchange {

// What the layout's reader needs to build the model. Throws Error{usage} naming what has no place
// in it.
nlohmann::json describe(const ModelConfig& model, ExchangeFormat format, std::int64_t context);

// What a config.json says.
struct Description {
  ExchangeFormat format;
  ModelConfig model;                 // rwkv: empty, the tensors tell
  std::int64_t context = 0;          // 0: it does not say
  bool tied = false;                 // the embedding is the head too
  std::int64_t key_value_heads = 0;  // llama: fewer than heads; 0: as many
};
// Throws Error{bad_input} with `path: key: wrong; right` for what our models do not compute.
Description read_description(const nlohmann::json& json, const std::filesystem::path& path);

}  // namespace metascale::exchange
