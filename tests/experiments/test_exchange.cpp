// Models that leave come back as they were; what does not fit is refused.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/safetensors.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/exchange.hpp"
#include "experiments/models/model.hpp"
#include "experiments/plan.hpp"
#include "tests/support/files.hpp"
#include "tests/support/golden_model.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::GoldenModel, testing::TemporaryFolder;

// A run folder whose only checkpoint holds these parameters.
fs::path stored_run(const TemporaryFolder& folder, const GoldenModel& golden) {
  RunConfig run;
  run.id = "source";
  run.sweep = run.size = run.length = "tests";
  run.arm = name_of(golden.config.architecture);
  run.model = golden.config;
  run.training.steps = 10;
  run.training.batch_tokens = run.training.context = 64;
  run.training.micro_batch = 1;
  run.training.optimizer.learning_rate = 1e-3;
  run.data.name = "tests";
  const fs::path path = folder / "source";
  const ParameterList list = parameters_of(run.model);
  ParameterMemory memory(list, Device::cpu, Dtype::f32);
  golden.load_parameters(list, memory);
  Checkpoints(path, run.model).save({.step = 10, .tokens = 640}, list, memory, run.log);
  write_file_atomically(path / "config.yaml", to_yaml(run));
  return path;
}

void expect_equal_models(const fs::path& a, const fs::path& b) {
  const LoadedModel one = load_model(find_model(a), Dtype::f32),
                    two = load_model(find_model(b), Dtype::f32);
  REQUIRE(one.list.entries().size() == two.list.entries().size());
  for (const auto& entry : one.list.entries()) {
    CAPTURE(entry.spec.name);
    CHECK(
        testing::to_doubles(one.memory.tensor(one.memory.values, entry)) ==
        testing::to_doubles(two.memory.tensor(two.memory.values, two.list.find(entry.spec.name))));
  }
}

struct Case {
  const char* model;
  ExchangeFormat format;
};
constexpr Case cases[] = {{"transformer_tiny", ExchangeFormat::gpt_neox},
                          {"transformer_pp_tiny", ExchangeFormat::llama},
                          {"rwkv7_tiny", ExchangeFormat::rwkv},
                          {"rwkv7_tiny", ExchangeFormat::fla},
                          {"metastate_tiny", ExchangeFormat::meta_state},
                          {"metastate_current_tiny", ExchangeFormat::meta_state},
                          {"metastate_timemix_tiny", ExchangeFormat::meta_state}};

TEST_CASE("a model that is exported and imported has the same bits and the same configuration") {
  const auto which = GENERATE(from_range(std::begin(cases), std::end(cases)));
  CAPTURE(which.model, name_of(which.format));
  const GoldenModel golden(which.model);
  const TemporaryFolder folder;
  const fs::path source = stored_run(folder, golden);
  export_model(find_model(source), which.format, folder / "out");
  import_model(folder / "out", folder / "back", {});
  expect_equal_models(source, folder / "back");
  const RunConfig back = find_model(folder / "back").run;
  ModelConfig wanted = golden.config, found = back.model;
  wanted.heads = head_count(wanted), found.heads = head_count(found);
  CHECK(found == wanted);
  CHECK(back.training.context == 64);
  CHECK(back.data.tokenizer == "bytes");
}

TEST_CASE("exported tensors have the names and shapes that other tools ask for") {
  const TemporaryFolder folder;
  const auto exported = [&](const Case& which) {
    const TemporaryFolder own;
    const fs::path out = folder / name_of(which.format);
    export_model(find_model(stored_run(own, GoldenModel(which.model))), which.format, out);
    return SafetensorsFile(out / "model.safetensors");
  };
  const auto shape = [](const SafetensorsFile& file, const char* name) {
    return file.at(name).shape;
  };
  using Extents = std::vector<std::int64_t>;
  const auto neox = exported(cases[0]);
  CHECK(shape(neox, "gpt_neox.layers.1.attention.query_key_value.weight") == Extents{96, 32});
  CHECK(shape(neox, "embed_out.weight") == Extents{40, 32});
  CHECK(neox.metadata().at("format") == "pt");
  CHECK(shape(exported(cases[1]), "model.layers.1.self_attn.q_proj.weight") == Extents{32, 32});
  const auto rwkv = exported(cases[2]);
  CHECK(shape(rwkv, "blocks.1.att.x_r") == Extents{1, 1, 64});
  CHECK(shape(rwkv, "blocks.1.att.w1") == Extents{64, 8});
  const auto fla = exported(cases[3]);
  CHECK(shape(fla, "model.layers.0.pre_norm.weight") == Extents{64});
  CHECK(shape(fla, "model.layers.1.attn.w_lora.lora.0.weight") == Extents{8, 64});
  CHECK(shape(fla, "model.layers.1.attn.g_lora.lora.2.weight") == Extents{64, 8});
  CHECK(shape(fla, "model.layers.1.attn.v_lora.lora.2.bias") == Extents{64});
  CHECK(shape(fla, "model.layers.1.attn.x_r") == Extents{1, 1, 64});
  CHECK(shape(fla, "model.layers.1.ffn.x_k") == Extents{64});
  const json words = json::parse(read_file(folder / "fla" / "config.json"));
  CHECK(words.at("metascale").at("step") == 10);
  CHECK(words.at("metascale").at("tokenizer") == "bytes");
}

std::string refusal(const std::function<void()>& body, ExitCode code) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == code);
    return error.what();
  }
  return "accepted";
}

TEST_CASE("a format has no place for another architecture, nor for heads that were grown") {
  const TemporaryFolder folder;
  const GoldenModel golden("rwkv7_tiny");
  StoredModel stored = find_model(stored_run(folder, golden));
  CHECK_THAT(refusal([&] { export_model(stored, ExchangeFormat::llama, folder / "out"); },
                     ExitCode::usage),
             Catch::Contains("llama has no place for a rwkv7; write rwkv"));
  stored.run.model.heads = 3;
  CHECK_THAT(
      refusal([&] { export_model(stored, ExchangeFormat::fla, folder / "out"); }, ExitCode::usage),
      Catch::Contains("3 of 32 channels are not the width 64"));
  CHECK_FALSE(fs::exists(folder / "out"));
}

// ---- models of others

// An exported model whose config.json or tensors a test changes.
struct Foreign {
  TemporaryFolder folder;
  fs::path out;

  explicit Foreign(const Case& which) : out(folder / "out") {
    export_model(find_model(stored_run(folder, GoldenModel(which.model))), which.format, out);
  }
  json config() const { return json::parse(read_file(out / "config.json")); }
  void set(const char* key, const json& value) const {
    json words = config();
    words[key] = value;
    write_file_atomically(out / "config.json", words.dump());
  }
  // Writes the tensors anew, as `change` leaves them.
  struct Named {
    std::string name;
    StoredDtype dtype;
    std::vector<std::int64_t> shape;
    std::string bytes;
  };
  void rewrite(const std::function<void(std::vector<Named>&)>& change,
               const std::string& file = "model.safetensors") const {
    std::vector<Named> tensors;
    {
      const SafetensorsFile from(out / "model.safetensors");
      for (const auto& entry : from.entries()) {
        tensors.push_back({entry.name, entry.dtype, entry.shape, std::string(entry.bytes, '\0')});
        from.read(entry, tensors.back().bytes.data(), entry.bytes);
      }
    }
    change(tensors);
    std::vector<StoredTensor> stored;
    for (const Named& tensor : tensors)
      stored.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes.data()});
    write_safetensors(out / file, stored, {});
  }
  std::string import_error(ExitCode code = ExitCode::bad_input) const {
    return refusal([&] { import_model(out, folder / "in", {}); }, code);
  }
  bool nothing_was_made() const { return !fs::exists(folder / "in"); }
};

TEST_CASE("a model whose configuration we do not compute is refused by key") {
  const auto [key, value, message] = GENERATE(
      std::tuple<const char*, json, const char*>{"rms_norm_eps", 1e-6, "rms_norm_eps: 1e-06"},
      std::tuple<const char*, json, const char*>{"rope_theta", 500000.0, "rope_theta: 500000"},
      std::tuple<const char*, json, const char*>{"rope_scaling", {{"factor", 8}}, "rope_scaling"},
      std::tuple<const char*, json, const char*>{
          "rope_parameters", {{"type", "linear"}, {"factor", 4}}, "rope_type: linear"},
      std::tuple<const char*, json, const char*>{
          "rope_parameters", {{"rope_theta", 500000.0}}, "rope_theta: 500000"},
      std::tuple<const char*, json, const char*>{
          "rope_parameters", {{"partial_rotary_factor", 0.5}}, "partial_rotary_factor: 0.5"},
      std::tuple<const char*, json, const char*>{"rope_parameters", "linear", "a map is needed"},
      std::tuple<const char*, json, const char*>{"partial_rotary_factor", 0.5,
                                                 "partial_rotary_factor: 0.5"},
      std::tuple<const char*, json, const char*>{"hidden_act", "gelu", "hidden_act: gelu"},
      std::tuple<const char*, json, const char*>{"attention_bias", true, "attention_bias: true"},
      std::tuple<const char*, json, const char*>{"num_attention_heads", 3,
                                                 "a divisor of hidden_size"},
      std::tuple<const char*, json, const char*>{"num_hidden_layers", -1,
                                                 "num_hidden_layers: '-1'"},
      std::tuple<const char*, json, const char*>{"hidden_size", "wide", "hidden_size: '\"wide\"'"},
      std::tuple<const char*, json, const char*>{"vocab_size", 1e18, "vocab_size"},
      std::tuple<const char*, json, const char*>{"model_type", "mamba", "model_type: 'mamba'"},
      std::tuple<const char*, json, const char*>{"intermediate_size", 96,
                                                 "has shape (80, 32), but by its configuration"},
      std::tuple<const char*, json, const char*>{"num_hidden_layers", 1, "has no place in"},
      std::tuple<const char*, json, const char*>{"num_hidden_layers", 3, "there is no tensor"});
  CAPTURE(key);
  const Foreign foreign(cases[1]);
  foreign.set(key, value);
  CHECK_THAT(foreign.import_error(), Catch::Contains(message));
  CHECK(foreign.nothing_was_made());
}

TEST_CASE(
    "weights that are not finite, not floating-point, missing or too many are refused by name") {
  const Foreign foreign(cases[0]);
  const std::string name = "gpt_neox.layers.0.mlp.dense_h_to_4h.bias";
  const auto with =
      [&](const std::function<void(std::vector<Foreign::Named>&, Foreign::Named&)>& edit) {
        foreign.rewrite([&](std::vector<Foreign::Named>& tensors) {
          for (auto& tensor : tensors)
            if (tensor.name == name) {
              edit(tensors, tensor);
              return;
            }
        });
        return foreign.import_error();
      };
  const std::string original = read_file(foreign.out / "model.safetensors");
  const auto restore = [&] { write_file_atomically(foreign.out / "model.safetensors", original); };
  CHECK_THAT(with([](auto&, auto& tensor) { tensor.bytes.replace(8, 4, "\x00\x00\xc0\x7f", 4); }),
             Catch::Contains("dense_h_to_4h.bias' holds nan at element 2"));
  restore();
  CHECK_THAT(with([](auto&, auto& tensor) { tensor.bytes.replace(0, 4, "\x00\x00\x80\xff", 4); }),
             Catch::Contains("holds -inf at element 0"));
  restore();
  CHECK_THAT(with([](auto&, auto& tensor) { tensor.dtype = StoredDtype::i32; }),
             Catch::Contains("is of I32, but weights are floating-point numbers"));
  restore();
  CHECK_THAT(with([](auto&, auto& tensor) { tensor.name += ".more"; }),
             Catch::Contains("there is no tensor 'gpt_neox.layers.0.mlp.dense_h_to_4h.bias'"));
  restore();
  CHECK_THAT(with([](auto& tensors, auto& tensor) {
               auto copy = tensor;
               copy.name = "gpt_neox.layers.0.adapter";
               tensors.push_back(copy);
             }),
             Catch::Contains("tensor 'gpt_neox.layers.0.adapter' has no place in a transformer"));
  CHECK(foreign.nothing_was_made());
}

TEST_CASE("a value beyond f32 is refused by its tensor, as no infinity may come in") {
  const Foreign foreign(cases[0]);
  const std::string name = "gpt_neox.final_layer_norm.bias";
  foreign.rewrite([&](std::vector<Foreign::Named>& tensors) {
    for (auto& tensor : tensors)
      if (tensor.name == name) {
        const std::vector<double> values(32, 1e300);
        tensor.dtype = StoredDtype::f64;
        tensor.bytes.assign(reinterpret_cast<const char*>(values.data()), 32 * sizeof(double));
      }
  });
  CHECK_THAT(foreign.import_error(),
             Catch::Contains("tensor '" + name + "' holds 1e+300, which is beyond"));
  CHECK(foreign.nothing_was_made());
}

TEST_CASE("half precision is widened exactly, and buffers of older versions are passed over") {
  const Foreign foreign(cases[0]);
  foreign.rewrite([&](std::vector<Foreign::Named>& tensors) {
    for (auto& tensor : tensors)
      if (tensor.name == "gpt_neox.final_layer_norm.bias") {
        tensor.dtype = StoredDtype::f16;
        tensor.bytes.assign(64, '\0');
        tensor.bytes.replace(0, 8, "\x00\x3c\x00\xc0\x01\x00\x55\x35",
                             8);  // 1, -2, 2^-24, 0.333...
      }
    tensors.push_back({"gpt_neox.layers.0.attention.bias", StoredDtype::boolean, {2}, "\1\1"});
    tensors.push_back(
        {"gpt_neox.layers.0.attention.rotary_emb.inv_freq", StoredDtype::f32, {1}, "abcd"});
  });
  import_model(foreign.out, foreign.folder / "in", {});
  const LoadedModel model = load_model(find_model(foreign.folder / "in"), Dtype::f64);
  const auto values = testing::to_doubles(
      model.memory.tensor(model.memory.values, model.list.find("final_layer_norm.bias")));
  CHECK(values[0] == 1);
  CHECK(values[1] == -2);
  CHECK(values[2] == std::ldexp(1.0, -24));
  CHECK(values[3] == 1365.0 / 4096);
}

TEST_CASE("key-value heads that are shared are repeated: the same attention") {
  const Foreign foreign(cases[1]);
  foreign.set("num_key_value_heads", 1);
  foreign.rewrite([&](std::vector<Foreign::Named>& tensors) {
    for (auto& tensor : tensors)
      if (tensor.name.find("k_proj") != std::string::npos ||
          tensor.name.find("v_proj") != std::string::npos) {
        tensor.shape[0] /= 2;
        tensor.bytes.resize(tensor.bytes.size() / 2);
      }
  });
  import_model(foreign.out, foreign.folder / "in", {});
  const LoadedModel model = load_model(find_model(foreign.folder / "in"), Dtype::f32);
  const auto rows = testing::to_doubles(model.memory.tensor(
      model.memory.values, model.list.find("model.layers.1.self_attn.k_proj.weight")));
  const auto half = rows.begin() + std::ptrdiff_t(rows.size() / 2);
  CHECK(std::vector(rows.begin(), half) == std::vector(half, rows.end()));
}

TEST_CASE("a tied head is the embedding") {
  const Foreign foreign(cases[1]);
  foreign.set("tie_word_embeddings", true);
  foreign.rewrite([](std::vector<Foreign::Named>& tensors) {
    std::erase_if(tensors, [](const auto& tensor) { return tensor.name == "lm_head.weight"; });
  });
  import_model(foreign.out, foreign.folder / "in", {});
  const LoadedModel model = load_model(find_model(foreign.folder / "in"), Dtype::f32);
  const auto values = [&](const char* name) {
    return testing::to_doubles(model.memory.tensor(model.memory.values, model.list.find(name)));
  };
  CHECK(values("lm_head.weight") == values("model.embed_tokens.weight"));
}

TEST_CASE("a model in several files is read by its index, whose names may not leave the folder") {
  const Foreign foreign(cases[0]);
  const auto split = [&](bool first, const std::string& file) {
    foreign.rewrite(
        [&](auto& tensors) {
          std::erase_if(tensors, [&](const auto& tensor) {
            return (tensor.name.find("layers.0") != std::string::npos) != first;
          });
        },
        file);
  };
  split(true, "model-1.safetensors");
  split(false, "model-2.safetensors");
  fs::remove(foreign.out / "model.safetensors");
  const auto index = [&](const json& files) {
    json map;
    for (std::size_t i = 0; i < files.size(); ++i) map[std::to_string(i)] = files[i];
    write_file_atomically(foreign.out / "model.safetensors.index.json",
                          json{{"weight_map", map}}.dump());
  };
  for (const json& wrong : {json{"../model-1.safetensors"}, json{"/etc/passwd"}, json{""}, json{3},
                            json{".."}, json{".hidden"}}) {
    index(wrong);
    CAPTURE(wrong.dump());
    CHECK_THAT(foreign.import_error(), Catch::Contains("is no plain file name"));
  }
  write_file_atomically(foreign.out / "model.safetensors.index.json", "[1, 2]");
  CHECK_THAT(foreign.import_error(), Catch::Contains("weight_map"));
  index({"model-1.safetensors", "model-2.safetensors", "model-1.safetensors"});
  import_model(foreign.out, foreign.folder / "in", {});
  expect_equal_models(foreign.folder / "source", foreign.folder / "in");
}

TEST_CASE("a pickle is refused with the command that converts it") {
  const TemporaryFolder folder;
  folder.write("rwkv.pth", "PK");
  for (const fs::path& source : {folder / "rwkv.pth", folder.path()})
    CHECK_THAT(refusal([&] { import_model(source, folder / "in", {}); }, ExitCode::usage),
               Catch::Contains("weights_only=True") && Catch::Contains("rwkv.pth"));
}

TEST_CASE(
    "a .safetensors file with RWKV-LM's names needs no configuration, and may hold dead values") {
  const Foreign foreign(cases[2]);
  foreign.rewrite(
      [](std::vector<Foreign::Named>& tensors) {
        tensors.push_back({"blocks.0.att.v0", StoredDtype::f32, {1}, std::string(4, '\0')});
      },
      "alone.safetensors");
  import_model(foreign.out / "alone.safetensors", foreign.folder / "in", {});
  expect_equal_models(foreign.folder / "source", foreign.folder / "in");
}

TEST_CASE("a .safetensors file with other names is read with the config.json beside it") {
  const Foreign foreign(cases[1]);
  const fs::path file = foreign.out / "model.safetensors";
  import_model(file, foreign.folder / "in", {});
  expect_equal_models(foreign.folder / "source", foreign.folder / "in");
  fs::remove(foreign.out / "config.json");
  for (const fs::path& source : {file, foreign.out})
    CHECK_THAT(
        refusal([&] { import_model(source, foreign.folder / "other", {}); }, ExitCode::usage),
        Catch::Contains("give the folder: config.json is needed"));
}

TEST_CASE("an import does not write over a run") {
  const Foreign foreign(cases[0]);
  CHECK_THAT(
      refusal([&] { import_model(foreign.out, foreign.folder / "source", {}); }, ExitCode::usage),
      Catch::Contains("a run is there already"));
}

TEST_CASE(
    "whatever bytes are changed in a model's files, an import ends with it or with an error") {
  const Foreign foreign(cases[2]);
  const std::string weights = read_file(foreign.out / "model.safetensors");
  const std::string words = read_file(foreign.out / "config.json");
  std::uint64_t state = 12345;
  const auto random = [&](std::size_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return std::size_t(state >> 33) % bound;
  };
  int refused = 0;
  for (int round = 0; round < 60; ++round) {
    std::string damaged = weights, text = words;
    const std::size_t header = 8 + 6000;  // where lengths, names and shapes are
    for (int change = 0; change < 3; ++change)
      damaged[random(std::min(header, damaged.size()))] = char(random(256));
    if (round % 2) text[random(text.size())] = char(random(128));
    write_file_atomically(foreign.out / "model.safetensors", damaged);
    write_file_atomically(foreign.out / "config.json", text);
    fs::remove_all(foreign.folder / "in");
    try {
      import_model(foreign.out, foreign.folder / "in", {});
    } catch (const Error& error) {
      ++refused;
      CHECK((error.code == ExitCode::bad_input || error.code == ExitCode::usage));
    }
  }
  CHECK(refused > 30);
}

}  // namespace
}  // namespace metascale
