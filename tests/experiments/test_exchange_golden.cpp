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

TEST_CASE("a model of transformers, rwkv or flash-linear-attention has its logits here") {
  const std::string name =
      GENERATE("gpt_neox", "gpt_neox_sequential", "llama", "llama_shared_heads", "rwkv7", "fla");
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

TEST_CASE("an imported run is called by its folder, however that is written") {
  const testing::TemporaryFolder folder;
  for (const fs::path& written :
       {folder / "one", folder / "two" / "", folder / "x" / ".." / "three"})
    import_model(golden / "fla", written, {});
  CHECK(find_model(folder / "one").run.id == "one");
  CHECK(find_model(folder / "two").run.id == "two");
  CHECK(find_model(folder / "three").run.id == "three");
}

TEST_CASE("a feed-forward width that fla's configuration leaves out follows from its ratio") {
  const testing::TemporaryFolder folder;
  const fs::path model = folder / "fla";
  fs::copy(golden / "fla", model);
  const auto set_ratio = [&](double ratio) {
    auto words = nlohmann::json::parse(read_file(golden / "fla" / "config.json"));
    words["intermediate_size"] = nullptr;
    words["hidden_ratio"] = ratio;
    write_file_atomically(model / "config.json", words.dump());
  };
  set_ratio(1.4);  // 89 of width 64, in whole 32s
  import_model(model, folder / "run", {});
  CHECK(find_model(folder / "run").run.model.feed_forward == 96);
  set_ratio(1e30);
  CHECK_THROWS_WITH(import_model(model, folder / "other", {}), Catch::Contains("hidden_ratio"));
}

}  // namespace
}  // namespace metascale
