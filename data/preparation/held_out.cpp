#include "data/preparation/held_out.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace metascale {
namespace {

using Key = std::array<std::uint64_t, 2>;
constexpr std::int64_t key_bytes = sizeof(Key);

Key key_of(std::string_view text) {
  const Hash128 hash = xxh3_128(text.data(), text.size());
  return {hash.high, hash.low};
}

}  // namespace

HeldOutTexts::HeldOutTexts(const std::filesystem::path& path, const FileMark& from)
    : file_(path, from) {}

void HeldOutTexts::add(std::string_view text) {
  if (file_.size() >= most * key_bytes)
    throw Error(concat("validation and test have more than ", most,
                       " documents, too many to keep in memory; make them smaller"),
                ExitCode::bad_input);
  const Key key = key_of(text);
  file_.number(key);
}

void HeldOutTexts::load() {
  loaded_ = true;
  file_.flush();
  sorted_.resize(std::size_t(file_.size() / key_bytes));
  file_.file().read(sorted_.data(), sorted_.size() * sizeof(Key), 0);
  std::sort(sorted_.begin(), sorted_.end());
}

bool HeldOutTexts::holds(std::string_view text) {
  if (!loaded_) load();
  return std::binary_search(sorted_.begin(), sorted_.end(), key_of(text));
}

}  // namespace metascale
