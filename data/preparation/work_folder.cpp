#include "data/preparation/work_folder.hpp"

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/file.hpp"

namespace metascale {
namespace {

constexpr const char* marker = "complete";

void move_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  if (!std::filesystem::exists(from)) return;  // moved before
  std::filesystem::rename(from, to, error);
  if (error) throw_io_error("rename to", to, error.value());
}

}  // namespace

void WorkFolder::make() { make_own_folder(path_); }

void WorkFolder::remove() {
  std::error_code error;
  std::filesystem::remove(path_ / marker, error);  // first: without it nothing here is complete
  std::filesystem::remove_all(path_, error);
  if (error) throw_io_error("remove the folder", path_, error.value());
}

void WorkFolder::declare_complete(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  sync_folder(path_);
  write_file_atomically(path_ / marker, text);
}

bool WorkFolder::is_complete() const { return std::filesystem::exists(path_ / marker); }

// Without its .json a set is not taken for ours: it goes first and comes last.
void WorkFolder::move_out(const std::vector<std::string>& names) {
  std::error_code ignored;
  for (const std::string& name : names) {
    const bool moved = !std::filesystem::exists(path_ / (name + ".json"));
    if (!moved) std::filesystem::remove(out_ / (name + ".json"), ignored);
    for (const char* ending : {".bin", ".idx", ".documents"})
      move_file(path_ / (name + ending), out_ / (name + ending));
  }
  sync_folder(out_);
  for (const std::string& name : names)
    move_file(path_ / (name + ".json"), out_ / (name + ".json"));
  sync_folder(out_);
}

}  // namespace metascale
