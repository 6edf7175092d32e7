// Architectures. Each is one file of forward code (models/<name>.cpp) and a row of the table in
// model.cpp.
#pragma once

#include <string>

#include "experiments/config.hpp"
#include "experiments/tape.hpp"

namespace metascale {

// Transformers, forward only: keys and values of the tokens so far are kept.
struct KeyValueCache {
  std::int64_t capacity = 0;               // tokens
  const std::int64_t* position = nullptr;  // how many are held when an execution begins
};

// What a model's forward is written with.
struct Forward {
  Tape& tape;
  const ModelConfig& config;
  bool carry_state = false;  // recurrent models: read and leave the state of the sequence so far
  const KeyValueCache* cache = nullptr;
  // (B, T) i32: position of the first token of each token's document; nothing flows from one
  // document to the next. Absent: a window is one stream.
  Tensor first_positions = {};

  Tensor parameter(const std::string& name, Shape shape, Initial initial, bool decay = false,
                   double rate_multiplier = 1) const {
    return tape.parameter({.name = name,
                           .shape = shape,
                           .initial = std::move(initial),
                           .rate_multiplier = rate_multiplier,
                           .decay = decay});
  }
  // Embedding and head: decayed, and not part of the non-embedding parameters.
  Tensor vocabulary_parameter(const std::string& name, Initial initial) const {
    return tape.parameter({.name = name,
                           .shape = {config.vocabulary, config.width},
                           .initial = std::move(initial),
                           .decay = true,
                           .embedding = true});
  }
};

struct ModelOutput {
  Tensor hidden;  // (B, T, D)  after the last norm
  Tensor head;    // (V, D)
};

// tokens (B, T) i32.
ModelOutput forward(Forward& forward, const Tensor& tokens);

// What a model declares: names, shapes, initial values.
ParameterList parameters_of(const ModelConfig& config);

ModelOutput transformer(Forward& forward, const Tensor& tokens);
ModelOutput transformer_pp(Forward& forward, const Tensor& tokens);
ModelOutput rwkv7(Forward& forward, const Tensor& tokens);
ModelOutput meta_state(Forward& forward, const Tensor& tokens);

}  // namespace metascale
