#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>

#include "core/atomic_file.hpp"
#include "core/safetensors.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/training/checkpoint_schedule.hpp"
#include "tests/support/file_size_limit.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::bytes_of, testing::error_of, testing::TemporaryFolder;

ModelConfig model_of(Architecture architecture = Architecture::rwkv7) {
  return {.architecture = architecture, .layers = 1, .width = 8, .vocabulary = 11, .head_size = 4};
}

// A run folder with the tensors of a small model, whose content tells which step it is of.
struct Setup {
  TemporaryFolder folder;
  ParameterList list;
  ParameterMemory memory;
  Checkpoints checkpoints{folder.path(), model_of()};
  LogConfig log{.keep = 10};

  Setup() : memory(declared(list), Device::cpu, Dtype::f32) {}
  static const ParameterList& declared(ParameterList& list) {
    list.declare({.name = "embedding", .shape = {11, 8}});
    list.declare({.name = "norm", .shape = {8}});
    return list;
  }
  static TrainingState state_at(std::int64_t step) {
    return {.step = step,
            .tokens = 256 * step,
            .digest = 0xfedcba9876543210u + std::uint64_t(step),
            .threads = 3,
            .micro_batch = 5,
            .data_fingerprint = "0123abcd"};
  }
  void fill(std::int64_t step) {
    for (const auto& [arena, offset] :
         {std::pair{&memory.values, 0.0}, {&memory.m, 0.25}, {&memory.v, 0.5}})
      for (const auto& entry : list.entries()) {
        const Tensor tensor = memory.tensor(*arena, entry);
        for (std::int64_t i = 0; i < tensor.size(); ++i)
          tensor.pointer<float>()[i] = float(double(step) + offset + 1.0 / double(i + 3));
      }
  }
  void save(std::int64_t step) {
    fill(step);
    checkpoints.save(state_at(step), list, memory, log);
  }
  fs::path file(std::int64_t step, const char* name = "model.safetensors") const {
    return checkpoints.folder_of(step) / name;
  }
  std::int64_t newest(std::vector<std::string>* damaged = nullptr) const {
    const auto state = checkpoints.newest(damaged);
    return state ? state->step : -1;
  }
};

void overwrite(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void flip_byte(const fs::path& path, double place) {
  std::string bytes = bytes_of(path);
  bytes[std::size_t(place * double(bytes.size() - 1))] ^= 0x10;
  overwrite(path, bytes);
}

TEST_CASE("a checkpoint gives back the state and every tensor bit for bit") {
  Setup setup;
  setup.save(7);
  const auto copy_of = [&](const Buffer& arena) {
    return std::string(reinterpret_cast<const char*>(arena.data()), arena.bytes());
  };
  const std::string values = copy_of(setup.memory.values), m = copy_of(setup.memory.m),
                    v = copy_of(setup.memory.v);
  setup.fill(1000);
  setup.checkpoints.load(7, setup.list, setup.memory);
  CHECK((copy_of(setup.memory.values) == values));
  CHECK((copy_of(setup.memory.m) == m));
  CHECK((copy_of(setup.memory.v) == v));
  const TrainingState state = setup.checkpoints.newest().value();
  CHECK(state.step == 7);
  CHECK(state.tokens == 7 * 256);
  CHECK(state.digest == 0xfedcba9876543217u);
  CHECK(state.threads == 3);
  CHECK(state.micro_batch == 5);
  CHECK(state.data_fingerprint == "0123abcd");
}

TEST_CASE("a run without checkpoints has no newest one") { CHECK(Setup().newest() == -1); }

TEST_CASE("the newest checkpoint is that of the largest step, whatever was written last") {
  Setup setup;
  setup.save(20), setup.save(100), setup.save(3);
  CHECK(setup.newest() == 100);
}

TEST_CASE("saving a step again replaces its checkpoint") {
  Setup setup;
  setup.save(4);
  const std::string first = bytes_of(setup.file(4));
  setup.fill(5);
  setup.checkpoints.save(Setup::state_at(4), setup.list, setup.memory, setup.log);
  CHECK(setup.newest() == 4);
  CHECK((bytes_of(setup.file(4)) != first));
}

// ---- damage

struct Damage {
  const char* what;
  void (*inflict)(const Setup&);
};
const Damage damages[] = {
    {"a tensor file that was cut short",
     [](const Setup& s) { fs::resize_file(s.file(2), fs::file_size(s.file(2)) - 1); }},
    {"an empty tensor file", [](const Setup& s) { fs::resize_file(s.file(2), 0); }},
    {"a byte of a tensor flipped", [](const Setup& s) { flip_byte(s.file(2), 0.99); }},
    {"a byte of a tensor file's header flipped", [](const Setup& s) { flip_byte(s.file(2), 0.1); }},
    {"moments that are not there",
     [](const Setup& s) { fs::remove(s.file(2, "moments.safetensors")); }},
    {"a byte of the moments flipped",
     [](const Setup& s) { flip_byte(s.file(2, "moments.safetensors"), 0.9); }},
    {"no checkpoint.json", [](const Setup& s) { fs::remove(s.file(2, "checkpoint.json")); }},
    {"an empty checkpoint.json",
     [](const Setup& s) { fs::resize_file(s.file(2, "checkpoint.json"), 0); }},
    {"a checkpoint.json cut in half",
     [](const Setup& s) {
       const fs::path path = s.file(2, "checkpoint.json");
       fs::resize_file(path, fs::file_size(path) / 2);
     }},
    {"a folder that is a file",
     [](const Setup& s) {
       fs::remove_all(s.checkpoints.folder_of(2));
       overwrite(s.checkpoints.folder_of(2), "not a folder");
     }},
};

TEST_CASE("a damaged checkpoint is passed over for the one before it, and named") {
  const Damage& damage = GENERATE_REF(from_range(std::begin(damages), std::end(damages)));
  CAPTURE(damage.what);
  Setup setup;
  setup.save(1), setup.save(2);
  damage.inflict(setup);
  std::vector<std::string> damaged;
  CHECK(setup.newest(&damaged) == 1);
  REQUIRE(damaged.size() == 1);
  CHECK_THAT(damaged[0], Catch::Contains("step-0000000002"));
  const std::string message = error_of(ExitCode::bad_input, [&] { setup.checkpoints.state_of(2); });
  CHECK_THAT(message, Catch::Contains("step-0000000002"));
}

TEST_CASE("any flipped byte of checkpoint.json is noticed") {
  Setup setup;
  setup.save(1), setup.save(2);
  const fs::path path = setup.file(2, "checkpoint.json");
  const std::string good = bytes_of(path);
  for (std::size_t place = 0; place < good.size(); place += 3) {
    if (std::isspace(static_cast<unsigned char>(good[place]))) continue;  // layout carries nothing
    std::string bad = good;
    bad[place] ^= 0x01;
    overwrite(path, bad);
    INFO("byte " << place << ", " << good[place] << " became " << bad[place]);
    REQUIRE(setup.newest() == 1);
  }
}

TEST_CASE(
    "a checkpoint whose writing was cut short is passed over, named, and cleared by the next") {
  Setup setup;
  setup.save(1), setup.save(2);
  const fs::path leftover = setup.checkpoints.folder_of(2).string() + ".unfinished";
  fs::rename(setup.checkpoints.folder_of(2), leftover);
  fs::remove(leftover / "checkpoint.json");
  std::vector<std::string> damaged;
  CHECK(setup.newest(&damaged) == 1);
  REQUIRE(damaged.size() == 1);
  CHECK_THAT(damaged[0], Catch::Contains("step-0000000002.unfinished"));
  setup.save(3);
  CHECK_FALSE(fs::exists(leftover));
}

TEST_CASE("with every checkpoint damaged there is none, and all are named") {
  Setup setup;
  setup.save(1), setup.save(2);
  flip_byte(setup.file(1), 0.99), flip_byte(setup.file(2), 0.99);
  std::vector<std::string> damaged;
  CHECK(setup.newest(&damaged) == -1);
  CHECK(damaged.size() == 2);
}

TEST_CASE("a safetensors file that claims an absurd header is refused without allocating it") {
  const std::uint64_t length = GENERATE(values<std::uint64_t>(
      {200, 1'000'000, 99'000'000, 1ull << 40, ~0ull, ~0ull - 7, 1ull << 63}));
  CAPTURE(length);
  const TemporaryFolder folder;
  std::string bytes(64, ' ');
  std::memcpy(bytes.data(), &length, sizeof length);
  const fs::path path = folder.write("model.safetensors", bytes);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { SafetensorsFile file(path); }),
             Catch::Contains("model.safetensors") && Catch::Contains(std::to_string(length)));
}

// ---- other runs' checkpoints

TEST_CASE("a checkpoint of another architecture or size is refused with both named") {
  Setup setup;
  setup.save(1);
  ModelConfig wider = model_of();
  wider.width = 16;
  for (const ModelConfig& model : {model_of(Architecture::transformer), wider}) {
    const Checkpoints other(setup.folder.path(), model);
    CHECK_THAT(error_of(ExitCode::bad_input, [&] { other.newest(); }),
               Catch::Contains("of another model") && Catch::Contains(model_identity(model)) &&
                   Catch::Contains(model_identity(model_of())));
  }
}

TEST_CASE("tensors of another shape are refused by name") {
  Setup setup;
  setup.save(1);
  ParameterList other;
  other.declare({.name = "embedding", .shape = {8, 11}});
  ParameterMemory memory(other, Device::cpu, Dtype::f32);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { setup.checkpoints.load(1, other, memory); }),
             Catch::Contains("embedding") && Catch::Contains("another shape"));
}

TEST_CASE("a tensor that a checkpoint lacks is named") {
  Setup setup;
  setup.save(1);
  ParameterList other;
  other.declare({.name = "head", .shape = {8}});
  ParameterMemory memory(other, Device::cpu, Dtype::f32);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { setup.checkpoints.load(1, other, memory); }),
             Catch::Contains("no tensor 'head'"));
}

TEST_CASE("what changes a model's tensors or their meaning changes its identity") {
  const ModelConfig base = model_of(Architecture::meta_state);
  std::vector<ModelConfig> others(6, base);
  others[0].layers = 2;
  others[1].feed_forward = 5;
  others[2].read_state = ReadState::current;
  others[3].read_out = ReadOut::time_mix;
  others[4].rho = 0.5;
  others[5].rank_gate = 64;
  for (const ModelConfig& other : others) CHECK(model_identity(other) != model_identity(base));
}

// ---- what is kept

TEST_CASE("the newest `keep` checkpoints stay, and those of checkpoint_at") {
  Setup setup;
  setup.log = {.keep = 2, .checkpoint_at = {20}};
  for (const std::int64_t step : {10, 20, 30, 40, 50}) setup.save(step);
  std::vector<std::int64_t> left;
  for (const std::int64_t step : {10, 20, 30, 40, 50})
    if (fs::exists(setup.checkpoints.folder_of(step))) left.push_back(step);
  CHECK(left == std::vector<std::int64_t>{20, 40, 50});
}

TEST_CASE("a checkpoint that cannot be written leaves the one before it, and takes no room") {
  Setup setup;
  setup.save(1);
  setup.fill(2);
  const std::string message = error_of(ExitCode::io, [&] {
    const testing::FileSizeLimit limit(GENERATE(as<rlim_t>(), 0, 100, 500));
    setup.checkpoints.save(Setup::state_at(2), setup.list, setup.memory, setup.log);
  });
  CHECK_THAT(message, Catch::Contains("step-0000000002.unfinished"));
  std::vector<std::string> damaged;
  CHECK(setup.newest(&damaged) == 1);
  CHECK(damaged.empty());
}

TEST_CASE("the last scheduled step is the one that counting down finds") {
  const LogConfig log = GENERATE(LogConfig{}, LogConfig{.checkpoint_every = 6},
                                 LogConfig{.checkpoint_at = {20, 3, 7}},
                                 LogConfig{.checkpoint_every = 6, .checkpoint_at = {7, 12}});
  for (std::int64_t step = 0; step <= 30; ++step) {
    std::int64_t last = step;
    while (last > 0 && !is_scheduled(log, last)) --last;
    CAPTURE(step);
    CHECK(last_scheduled(log, step) == last);
  }
  CHECK_FALSE(is_scheduled({}, 6));
  CHECK(is_scheduled({.checkpoint_every = 6}, 12));
  CHECK(is_scheduled({.checkpoint_at = {5}}, 5));
}

}  // namespace
}  // namespace metascale
