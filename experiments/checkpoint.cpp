#include "experiments/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/file.hpp"
#include "core/hash.hpp"
#include "core/json_text.hpp"
#include "core/safetensors.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* model_file = "model.safetensors";
constexpr const char* moments_file = "moments.safetensors";
constexpr const char* state_file = "checkpoint.json";
constexpr const char* unfinished_mark = ".unfinished";

StoredDtype stored(Dtype dtype) {
  return dtype == Dtype::f64 ? StoredDtype::f64 : StoredDtype::f32;
}

void add_tensors(std::vector<StoredTensor>& tensors, const ParameterList& list, Dtype dtype,
                 const std::byte* arena, const std::string& prefix) {
  for (const auto& entry : list.entries()) {
    StoredTensor tensor{.name = prefix + entry.spec.name, .dtype = stored(dtype)};
    for (int axis = 0; axis < entry.spec.shape.rank; ++axis)
      tensor.shape.push_back(entry.spec.shape[axis]);
    tensor.data = arena + std::size_t(entry.offset) * size_of(dtype);
    tensors.push_back(std::move(tensor));
  }
}

void read_tensors(const SafetensorsFile& file, const fs::path& path, const ParameterList& list,
                  const ParameterMemory& memory, const Buffer& arena, const std::string& prefix) {
  for (const auto& entry : list.entries()) {
    const auto& found = file.at(prefix + entry.spec.name);
    const Tensor target = memory.tensor(arena, entry);
    std::vector<std::int64_t> wanted;
    for (int axis = 0; axis < entry.spec.shape.rank; ++axis)
      wanted.push_back(entry.spec.shape[axis]);
    if (found.shape != wanted || found.dtype != stored(memory.dtype))
      throw Error(fmt::format("{}: tensor {} has another shape or dtype than this run's model; the "
                              "checkpoint belongs to another run",
                              path.string(), found.name),
                  ExitCode::bad_input);
    file.read(found, target.data, target.bytes());
  }
}

json described(const fs::path& path, const Hash128& digest) {
  return {{"bytes", fs::file_size(path)}, {"xxh3_128", to_hex(digest)}};
}

// A checkpoint that is not whole: an older one may serve.
struct Damaged : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <typename Body>
auto or_damaged(const fs::path& path, Body&& body) {
  try {
    return body();
  } catch (const Error& error) {
    if (error.code == ExitCode::io && fs::exists(path)) throw;  // a disk that fails is no damage
    throw Damaged(fmt::format("{}: {}", path.string(), error.what()));
  } catch (const std::exception& error) {
    throw Damaged(fmt::format("{}: {}", path.string(), error.what()));
  }
}

void check_file(const fs::path& path, const json& expected) {
  const auto bytes = fs::file_size(path), wanted = expected.at("bytes").get<std::uintmax_t>();
  if (bytes != wanted)
    throw Damaged(fmt::format("{} has {} bytes instead of {}", path.string(), bytes, wanted));
  if (to_hex(SafetensorsFile(path, Links::refuse).digest()) !=
      expected.at("xxh3_128").get<std::string>())
    throw Damaged(fmt::format("{} has another digest than was written", path.string()));
}

std::string digest_of(const json& document) {
  const std::string text = document.dump();
  return to_hex(xxh3_128(text.data(), text.size()));
}

json sealed(json document) {
  document["xxh3_128"] = digest_of(document);
  return document;
}

// What sealed() made. Its digest is checked before anything in it is believed.
json read_json(const fs::path& path) {
  json document = parse_json(read_file(path, 1u << 20, Links::refuse));
  if (document.is_discarded() || !document.is_object())
    throw Damaged("not the JSON of a checkpoint");
  const std::string digest = document.value("xxh3_128", "");
  document.erase("xxh3_128");
  if (digest != digest_of(document)) throw Damaged("it has another digest than was written");
  return document;
}

json json_of(const TrainingState& state) {
  return {{"step", state.step},
          {"tokens", state.tokens},
          {"digest", to_hex(state.digest)},
          {"skipped_batches", state.skipped_batches},
          {"rolled_back_to", state.roll_backs.to},
          {"roll_backs", state.roll_backs.count},
          {"threads", state.threads},
          {"micro_batch", state.micro_batch},
          {"ranks", state.ranks},
          {"processor", state.processor},
          {"data_fingerprint", state.data_fingerprint}};
}

TrainingState state_of_json(const json& document) {
  TrainingState state{.step = document.at("step"),
                      .tokens = document.at("tokens"),
                      .skipped_batches = document.value("skipped_batches", std::int64_t(0)),
                      .roll_backs = {.to = document.value("rolled_back_to", std::int64_t(-1)),
                                     .count = document.value("roll_backs", std::int64_t(0))},
                      .threads = document.at("threads"),
                      .micro_batch = document.at("micro_batch"),
                      .ranks = document.value("ranks", std::int64_t(1)),  // none in older ones
                      .processor = document.value("processor", std::string()),
                      .data_fingerprint = document.at("data_fingerprint")};
  if (!parse_hex(document.at("digest").get<std::string>(), 16, state.digest))
    throw Error("its digest is not hexadecimal", ExitCode::bad_input);
  if (std::min({state.step, state.tokens, state.skipped_batches, state.roll_backs.count}) < 0 ||
      std::min({state.threads, state.micro_batch, state.ranks}) < 1)
    throw Error("a count in it is negative, or there are no threads, windows or ranks",
                ExitCode::bad_input);
  return state;
}

}  // namespace

std::string to_text(const TrainingState& state) { return json_of(state).dump(); }
TrainingState parse_state(const std::string& text) {
  return state_of_json(parse_json_or_throw(text));
}

HostArenas arenas_of(const ParameterMemory& memory) {
  return {memory.dtype, memory.values.data(), memory.m.data(), memory.v.data()};
}

std::string model_identity(const ModelConfig& m) {
  std::string text = fmt::format("{} layers={} width={} heads={}x{} feed_forward={} vocabulary={}",
                                 name_of(m.architecture), m.layers, m.width, m.heads, m.head_size,
                                 m.feed_forward, m.vocabulary);
  switch (m.architecture) {
    case Architecture::meta_state:
      text += fmt::format(" read_out={} read_state={} rho={:.17g}", name_of(m.read_out),
                          name_of(m.read_state), m.rho);
      [[fallthrough]];
    case Architecture::rwkv7:
      return text + fmt::format(" ranks={},{},{},{}", m.rank_decay, m.rank_rate, m.rank_value,
                                m.rank_gate);
    case Architecture::transformer:
      return text + fmt::format(" rotary={:.17g} parallel={} gelu={}", m.rotary_fraction,
                                m.parallel_residual, m.gelu_tanh ? "tanh" : "erf");
    case Architecture::transformer_pp: return text;
  }
  return text;
}

Checkpoints::Checkpoints(const fs::path& run_folder, const ModelConfig& model)
    : folder_(run_folder / "checkpoints"), identity_(model_identity(model)) {}

void Checkpoints::refuse_link() const { metascale::refuse_link(folder_); }

fs::path Checkpoints::folder_of(std::int64_t step) const {
  return folder_ / fmt::format("step-{:010}", step);
}

void Checkpoints::save(const TrainingState& state, const ParameterList& list,
                       const HostArenas& arenas, const LogConfig& log) {
  const fs::path target = folder_of(state.step), aside = target.string() + unfinished_mark;
  std::error_code error;
  make_own_folder(folder_);
  for (const auto& leftover : unfinished()) fs::remove_all(leftover, error);
  fs::create_directories(aside, error);
  if (error)
    throw Error(fmt::format("{}: cannot be created: {}", aside.string(), error.message()),
                ExitCode::io);
  try {
    write(aside, state, list, arenas);
  } catch (const std::exception&) {  // a full disk: give back what was taken
    fs::remove_all(aside, error);
    throw;
  }
  fs::remove_all(target, error);  // an older attempt's checkpoint of the same step
  fs::rename(aside, target, error);
  if (error)
    throw Error(fmt::format("{}: cannot be renamed: {}", aside.string(), error.message()),
                ExitCode::io);
  sync_folder(folder_);
  remove_old(state.step, log);
}

void Checkpoints::write(const fs::path& aside, const TrainingState& state,
                        const ParameterList& list, const HostArenas& arenas) const {
  std::vector<StoredTensor> model, moments;
  add_tensors(model, list, arenas.dtype, arenas.values, "");
  add_tensors(moments, list, arenas.dtype, arenas.m, "m.");
  add_tensors(moments, list, arenas.dtype, arenas.v, "v.");
  const auto model_digest =
      write_safetensors(aside / model_file, std::move(model), {{"model", identity_}});
  const auto moments_digest = write_safetensors(aside / moments_file, std::move(moments), {});
  json document = json_of(state);
  document["schema"] = checkpoint_schema;
  document["model"] = identity_;
  document["files"] = {{model_file, described(aside / model_file, model_digest)},
                       {moments_file, described(aside / moments_file, moments_digest)}};
  write_file_atomically(aside / state_file, sealed(document).dump(2) + "\n");
}

// Of those up to the step just saved, the newest log.keep stay; a later one is the damaged leftover
// of an attempt that this one superseded, and keeps no place.
void Checkpoints::remove_old(std::int64_t saved, const LogConfig& log) const {
  std::int64_t kept = 0;
  for (const std::int64_t step : steps()) {
    if (step > saved) continue;
    const bool wanted = std::find(log.checkpoint_at.begin(), log.checkpoint_at.end(), step) !=
                        log.checkpoint_at.end();
    std::error_code error;  // what cannot be removed is not worth stopping for
    if (++kept > std::max<std::int64_t>(log.keep, 1) && !wanted)
      fs::remove_all(folder_of(step), error);
  }
}

void Checkpoints::remove_after(std::int64_t step) const {
  refuse_link();
  const std::vector<std::int64_t> found = steps();
  std::error_code error;
  for (const std::int64_t later : found)
    if (later > step && (fs::remove_all(folder_of(later), error), error))
      throw Error(
          fmt::format("{}: cannot be removed: {}", folder_of(later).string(), error.message()),
          ExitCode::io);
  if (!found.empty()) sync_folder(folder_);
}

std::vector<std::int64_t> Checkpoints::steps() const {
  std::vector<std::int64_t> found;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder_, error)) {
    const std::string name = item.path().filename().string();
    std::int64_t step = 0;
    if (!name.starts_with("step-")) continue;
    const auto [end, status] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
    if (status == std::errc() && end == name.data() + name.size()) found.push_back(step);
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

std::vector<fs::path> Checkpoints::unfinished() const {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder_, error))
    if (item.path().extension() == unfinished_mark) found.push_back(item.path());
  return found;
}

TrainingState Checkpoints::read_state(std::int64_t step) const {
  const fs::path path = folder_of(step) / state_file;
  const json document = or_damaged(path, [&] { return read_json(path); });
  refuse_other_run(path, document);
  return or_damaged(path, [&] {
    for (const auto& [name, expected] : document.at("files").items())
      check_file(folder_of(step) / fs::path(name).filename(), expected);
    TrainingState state = state_of_json(document);
    if (state.step != step) throw Damaged(fmt::format("it is of step {}", state.step));
    return state;
  });
}

void Checkpoints::refuse_other_run(const fs::path& path, const json& document) const {
  const auto [schema, model] = or_damaged(path, [&] {  // of another type than ours
    return std::pair(document.value("schema", 0), document.value("model", std::string()));
  });
  if (schema != checkpoint_schema)
    throw Error(fmt::format("{}: schema {} was written by another version; this one reads {}",
                            path.string(), schema, checkpoint_schema),
                ExitCode::bad_input);
  if (model != identity_)
    throw Error(fmt::format("{}: the checkpoint is of another model\n  checkpoint: {}\n  this run:"
                            "   {}\nuse another run folder",
                            path.string(), model, identity_),
                ExitCode::bad_input);
}

std::optional<TrainingState> Checkpoints::newest(
    std::vector<std::string>* damaged, const std::function<bool(std::int64_t)>& wanted) const {
  for (const auto& leftover : unfinished())
    if (damaged) damaged->push_back(leftover.string() + ": its writing was cut short");
  for (const std::int64_t step : steps()) {
    if (wanted && !wanted(step)) continue;
    try {
      return read_state(step);
    } catch (const Damaged& damage) {
      if (damaged) damaged->push_back(damage.what());
    }
  }
  return std::nullopt;
}

TrainingState Checkpoints::state_of(std::int64_t step) const {
  try {
    return read_state(step);
  } catch (const Damaged& damage) {
    throw Error(damage.what(), ExitCode::bad_input);
  }
}

void Checkpoints::load(std::int64_t step, const ParameterList& list,
                       ParameterMemory& memory) const {
  const fs::path model = folder_of(step) / model_file, moments = folder_of(step) / moments_file;
  read_tensors(SafetensorsFile(model, Links::refuse), model, list, memory, memory.values, "");
  const SafetensorsFile both(moments, Links::refuse);
  read_tensors(both, moments, list, memory, memory.m, "m.");
  read_tensors(both, moments, list, memory, memory.v, "v.");
}

}  // namespace metascale
