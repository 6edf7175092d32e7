#include "experiments/models/model.hpp"

namespace metascale {
namespace {

struct Row {
  Architecture architecture;
  ModelOutput (*build)(Forward&, const Tensor&);
};

constexpr Row models[] = {{Architecture::transformer, transformer},
                          {Architecture::transformer_pp, transformer_pp},
                          {Architecture::rwkv7, rwkv7},
                          {Architecture::meta_state, meta_state}};

}  // namespace

ModelOutput forward(Forward& forward, const Tensor& tokens) {
  for (const Row& row : models)
    if (row.architecture == forward.config.architecture) return row.build(forward, tokens);
  throw Error("this architecture has no row in experiments/models/model.cpp");
}

ParameterList parameters_of(const ModelConfig& config) {
  ParameterList list;
  Tape tape({.training = false}, list);
  Forward context{.tape = tape, .config = config};
  forward(context, tape.input("tokens", {1, 1}, Dtype::i32));
  return list;
}

}  // namespace metascale
