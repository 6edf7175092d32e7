#include "kernels/cuda/gemm_algorithms.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <sstream>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace metascale::cuda {
namespace {

constexpr const char* title = "metascale cuBLASLt algorithms 1";
constexpr const char* separator = " : ";  // between a line's key and its algorithm

std::optional<GemmAlgorithm> parsed(std::string_view text) {
  GemmAlgorithm algorithm;
  for (std::uint64_t& word : algorithm) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), word, 16);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(std::size_t(end - text.data()));
  }
  return text.empty() ? std::optional(algorithm) : std::nullopt;
}

}  // namespace

GemmAlgorithms::GemmAlgorithms(const std::string& path, const std::string& device,
                               std::size_t library_version)
    : path_(path), owner_(concat(device, " cublaslt ", library_version)) {
  std::replace_if(
      owner_.begin(), owner_.end(), [](unsigned char c) { return c == ':' || !std::isprint(c); },
      '_');
  if (are_kept() && std::filesystem::exists(path_)) read();
}

void GemmAlgorithms::read() {
  std::istringstream lines(read_file(path_));
  std::string line;
  const auto damaged = [&](int number) {
    return Error(concat(path_, ":", number,
                        ": is not a line of a file of cuBLASLt algorithms; remove the file: the "
                        "algorithms are timed again"),
                 ExitCode::bad_input);
  };
  if (!std::getline(lines, line) || line != title) throw damaged(1);
  for (int number = 2; std::getline(lines, line); ++number) {
    const std::size_t split = line.rfind(separator);
    if (split == std::string::npos) throw damaged(number);
    const auto algorithm = parsed(std::string_view(line).substr(split + 3));
    if (!algorithm) throw damaged(number);
    lines_[line.substr(0, split)] = *algorithm;
  }
}

std::string GemmAlgorithms::line_start(const GemmKey& key) const {
  std::ostringstream text;
  text << owner_;
  for (const std::int64_t number : key) text << ' ' << number;
  return text.str();
}

std::optional<GemmAlgorithm> GemmAlgorithms::find(const GemmKey& key) const {
  const auto found = lines_.find(line_start(key));
  return found == lines_.end() ? std::nullopt : std::optional(found->second);
}

GemmAlgorithm GemmAlgorithms::keep(const GemmKey& key, const GemmAlgorithm& algorithm) {
  if (!are_kept()) return algorithm;
  const auto before = find(key);
  if (std::filesystem::exists(path_)) read();  // what other processes have found meanwhile
  if (const auto now = find(key); now && now != before) return *now;
  lines_[line_start(key)] = algorithm;
  std::ostringstream text;
  text << title << '\n';
  for (const auto& [start, words] : lines_) {
    text << start << separator << std::hex;
    for (std::size_t i = 0; i < words.size(); ++i) text << (i ? " " : "") << words[i];
    text << std::dec << '\n';
  }
  write_file_atomically(path_, text.str());
  return algorithm;
}

}  // namespace metascale::cuda
