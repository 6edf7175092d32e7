#include "experiments/exchange/foreign_files.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_text.hpp"
#include "experiments/tensor_file.hpp"

namespace metascale::exchange {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t most_index_bytes = std::size_t(64) << 20;
constexpr const char* one_file = "model.safetensors";
constexpr const char* index_file = "model.safetensors.index.json";

// A pickle runs what is written in it: torch opens it, with weights_only, and not we.
[[noreturn]] void refuse_pickle(const fs::path& path) {
  throw Error(
      fmt::format("{}: a PyTorch pickle, which is not read here; convert it first:\n"
                  "  python3 -c \"import torch; from safetensors.torch import save_file; "
                  "w = torch.load('{}', map_location='cpu', weights_only=True); "
                  "save_file({{k: v.contiguous() for k, v in w.items()}}, 'model.safetensors')\"",
                  path.string(), path.string()),
      ExitCode::usage);
}

bool is_pickle(const fs::path& path) {
  const std::string ending = path.extension();
  return ending == ".pth" || ending == ".pt" || ending == ".bin" || ending == ".ckpt";
}

// Names of the files that an index lists. A name with a folder in it would leave the model's.
std::set<std::string> files_in_index(const fs::path& path) {
  const json index = parse_json(read_file(path, most_index_bytes));
  const auto refuse = [&](const std::string& what) {
    return Error(fmt::format("{}: {}; download or make it anew", path.string(), what),
                 ExitCode::bad_input);
  };
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    throw refuse("no JSON with a map 'weight_map'");
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || fs::path(name).filename() != name || name.starts_with('.'))
      throw refuse(fmt::format("tensor '{}' is said to be in {}, which is no plain file name",
                               tensor, file.dump()));
    names.insert(name);
  }
  return names;
}

}  // namespace

ForeignFiles::ForeignFiles(const fs::path& source) : source_(source) {
  std::error_code error;
  if (is_pickle(source)) refuse_pickle(source);
  if (!fs::is_directory(source, error)) {
    open(source);
    return;
  }
  if (fs::exists(source / one_file)) {
    open(source / one_file);
  } else if (fs::exists(source / index_file)) {
    for (const std::string& name : files_in_index(source / index_file)) open(source / name);
  } else {
    for (const auto& item : fs::directory_iterator(source, error))
      if (is_pickle(item.path())) refuse_pickle(item.path());
    throw Error(fmt::format("{}: neither {} nor {} is there; give the folder of a model",
                            source.string(), one_file, index_file),
                ExitCode::usage);
  }
}

void ForeignFiles::open(const fs::path& path) {
  files_.push_back(std::make_unique<SafetensorsFile>(path));
  paths_.push_back(path);
  for (const auto& entry : files_.back()->entries())
    if (!places_.emplace(entry.name, Place{files_.size() - 1, &entry}).second)
      throw Error(fmt::format("{}: tensor '{}' is in another file of the model too", path.string(),
                              entry.name),
                  ExitCode::bad_input);
}

std::vector<std::string> ForeignFiles::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

const SafetensorsFile::Entry* ForeignFiles::find(const std::string& name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : found->second.entry;
}

const SafetensorsFile::Entry& ForeignFiles::at(const std::string& name) const {
  if (const auto* entry = find(name)) return *entry;
  throw Error(
      fmt::format("{}: there is no tensor '{}' among its {}; is it a model of another layout?",
                  source_.string(), name, places_.size()),
      ExitCode::bad_input);
}

std::vector<double> ForeignFiles::values(const std::string& name) const {
  const auto& entry = at(name);
  const std::size_t file = places_.at(name).file;
  return read_values(*files_[file], entry, paths_[file]);
}

}  // namespace metascale::exchange
