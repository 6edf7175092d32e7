// Models that other programs made have the logits here that those programs gave them.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "experiments/exchange.hpp"
#include "experiments/generation.hpp"
#include "tests/support/files.hpp"
#include "tests/support/golden_model.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

const fs::path golden = fs::path(METASCALE_GOLDEN) / "exchange";
constexpr double tolerance = 1e-4;  // of the largest logit: two programs in f32

TEST_CASE("a model of Hugging Face transformers or of the rwkv package has its logits here") {
  const std::string name =
      GENERATE("gpt_neox", "gpt_neox_sequential", "llama", "llama_shared_heads", "rwkv7");
  CAPTURE(name);
  const testing::TemporaryFolder folder;
  const fs::path source = name == "rwkv7" ? golden / name / "model.safetensors" : golden / name;
  import_model(source, folder / "run", {});
  LoadedModel model = load_model(find_model(folder / "run"), Dtype::f32);
  Generator generator(model, 1);
  const auto wanted = nlohmann::json::parse(read_file(golden / name / "logits.json"));
  std::size_t row = 0;
  for (std::size_t t = 0; t < wanted.at("tokens").size(); ++t) {
    generator.read(wanted["tokens"][t].get<std::int32_t>());
    if (row == wanted.at("positions").size() || wanted["positions"][row] != t) continue;
    CAPTURE(t);
    CHECK(testing::relative_error(generator.logits(),
                                  wanted["logits"][row++].get<std::vector<double>>()) < tolerance);
  }
  CHECK(row == 6);
}

}  // namespace
}  // namespace metascale
