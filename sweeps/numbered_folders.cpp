#include "sweeps/numbered_folders.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "core/error.hpp"
#include "core/file.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr int last_number = 999'999;  // a start each minute for two years

}  // namespace

fs::path numbered_folder(const fs::path& parent, int number) {
  return parent / fmt::format("{:04}", number);
}

int number_of(const fs::path& folder) {
  const std::string name = folder.filename();
  int number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_whole = error == std::errc() && end == name.data() + name.size();
  const bool is_ours = is_whole && number > 0 && number <= last_number;
  return is_ours && numbered_folder("", number) == name ? number : 0;
}

std::vector<int> numbered_folders(const fs::path& parent) {
  std::vector<int> numbers;
  std::error_code error;
  if (fs::is_symlink(parent, error)) return numbers;
  for (const auto& entry : fs::directory_iterator(parent, error))
    if (const int number = number_of(entry.path()); number > 0 && !entry.is_symlink(error))
      numbers.push_back(number);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

int make_numbered_folder(const fs::path& parent) {
  make_own_folder(parent);
  const std::vector<int> numbers = numbered_folders(parent);
  for (int number = numbers.empty() ? 1 : numbers.back() + 1; number <= last_number; ++number) {
    const fs::path folder = numbered_folder(parent, number);
    if (::mkdir(folder.c_str(), 0777) == 0) return number;
    if (errno != EEXIST) throw_io_error("create the folder", folder, errno);  // another's is kept
  }
  throw Error(fmt::format("{}: {:04} is there, after which none can come: it was not written by "
                          "metascale; remove it",
                          parent.string(), last_number),
              ExitCode::bad_input);
}

}  // namespace metascale
