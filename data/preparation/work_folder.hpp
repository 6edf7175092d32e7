// The folder in which a preparation writes until all of it is complete. It outlives a killed
// process.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace metascale {

class WorkFolder {
 public:
  explicit WorkFolder(const std::filesystem::path& out) : out_(out), path_(out / "unfinished") {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  void make();  // throws Error{io}, Error{bad_input} where it is a symbolic link
  void remove();

  // Says that all token sets of these names are complete here.
  void declare_complete(const std::vector<std::string>& names);
  bool is_complete() const;
  // Moves them out. A process that was killed in the midst of it, or before, leaves it to the next.
  void move_out(const std::vector<std::string>& names);

 private:
  std::filesystem::path out_, path_;
};

}  // namespace metascale
