#include "tests/support/golden_model.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace metascale::testing {
namespace {

ModelConfig parse(const nlohmann::json& json) {
  ModelConfig config;
  const std::string arch = json.at("arch");
  config.architecture = arch == "transformer"      ? Architecture::transformer
                        : arch == "transformer_pp" ? Architecture::transformer_pp
                        : arch == "rwkv7"          ? Architecture::rwkv7
                                                   : Architecture::meta_state;
  config.layers = json.at("L");
  config.width = json.at("D");
  config.vocabulary = json.at("V");
  if (json.contains("heads")) {
    config.heads = json.at("heads");
    config.head_size = config.width / config.heads;
    config.feed_forward = json.at("d_ff");
    return config;
  }
  config.heads = json.at("H");
  config.head_size = json.at("N");
  config.feed_forward = json.at("P");
  config.rank_decay = json.at("ranks").at("w");
  config.rank_rate = json.at("ranks").at("a");
  config.rank_value = json.at("ranks").at("v");
  config.rank_gate = json.at("ranks").at("g");
  if (arch != "metastate") return config;
  config.rho = json.at("rho");
  config.read_state = json.at("read_state") == "current" ? ReadState::current : ReadState::previous;
  config.read_out = json.at("read_out") == "time_mix" ? ReadOut::time_mix : ReadOut::state;
  return config;
}

}  // namespace

GoldenModel::GoldenModel(const std::string& name)
    : file(std::string(METASCALE_GOLDEN) + "/model/" + name + ".h5"),
      config(parse(nlohmann::json::parse(file.attribute_string("/", "config")))) {
  const auto extents = file.extents("tokens");
  rows = extents[0];
  context = extents[1];
}

void GoldenModel::load_parameters(const ParameterList& list, ParameterMemory& memory) const {
  const auto stored = file.datasets("params");
  if (stored.size() != list.entries().size())
    throw Error(concat("the model has ", list.entries().size(), " parameters, the golden file ",
                       stored.size()));
  for (const auto& entry : list.entries()) {
    const auto from = values("params/" + entry.spec.name);
    const Tensor to = memory.tensor(memory.values, entry);
    if (std::int64_t(from.size()) != to.size()) throw Error("size of " + entry.spec.name);
    with_float_type(memory.dtype, [&]<typename T>() {
      for (std::size_t i = 0; i < from.size(); ++i) to.pointer<T>()[i] = T(from[i]);
    });
  }
}

void GoldenModel::fill_inputs(Program& program) const {
  const auto tokens = values("tokens"), targets = values("targets");
  const std::int64_t count = program.options().rows * program.options().context;
  for (std::int64_t i = 0; i < count; ++i) {
    program.tokens()[i] = std::int32_t(tokens[std::size_t(i)]);
    if (program.options().logits) continue;
    program.targets()[i] = std::int32_t(targets[std::size_t(i)]);
    if (program.options().tape.training) program.set_scale(i, 1.0 / double(count));
  }
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (double value : values) most = std::max(most, std::abs(value));
  return most;
}

double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(a[i] - b[i]);
    if (!(error <= worst)) worst = error;  // NaN stays
  }
  const double scale = largest(b);
  return scale > 0 ? worst / scale : worst;
}

std::vector<double> to_doubles(const Tensor& tensor) {
  std::vector<double> values(static_cast<std::size_t>(tensor.size()));
  with_float_type(tensor.dtype, [&]<typename T>() {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = double(tensor.pointer<T>()[i]);
  });
  return values;
}

}  // namespace metascale::testing
