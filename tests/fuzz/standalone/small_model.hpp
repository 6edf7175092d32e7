// Models of some hundred parameters, in memory and on disk.
#pragma once

#include "core/atomic_file.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/models/model.hpp"
#include "experiments/stored_model.hpp"
#include "tests/support/temporary_folder.hpp"

namespace metascale::fuzz {

inline ModelConfig small_config(Architecture architecture) {
  return {.architecture = architecture,
          .layers = 1,
          .width = 4,
          .vocabulary = 4,
          .head_size = 4,
          .feed_forward = 4,
          .rank_decay = 1,
          .rank_rate = 1,
          .rank_value = 1,
          .rank_gate = 1};
}

inline LoadedModel small_model(Architecture architecture) {
  LoadedModel model(small_config(architecture), Dtype::f32);
  for (const auto& entry : model.list.entries()) {
    float* values = model.memory.tensor(model.memory.values, entry).pointer<float>();
    for (std::int64_t i = 0; i < entry.spec.shape.size(); ++i) values[i] = float(i % 7) / 8;
  }
  return model;
}

// A run folder whose checkpoint is whole.
class SmallRun {
 public:
  explicit SmallRun(Architecture architecture) {
    const ModelConfig model = small_config(architecture);
    const ParameterList list = parameters_of(model);
    const ParameterMemory memory(list, Device::cpu, Dtype::f32);
    Checkpoints(path(), model).save({.step = 8, .tokens = 64}, list, memory, {});
  }
  const std::filesystem::path& path() const { return folder_.path(); }
  void write(const char* name, const std::string& text) const { folder_.write(name, text); }

 private:
  testing::TemporaryFolder folder_;
};

}  // namespace metascale::fuzz
