#include "data/tokenizer.hpp"

#include <algorithm>
#include <filesystem>

#include "core/error.hpp"
#include "data/bpe_tokenizer.hpp"

namespace metascale {
namespace {

class ByteTokenizer final : public Tokenizer {
 public:
  std::string name() const override { return "bytes"; }
  std::string identity() const override {
    return "bytes v1: ids 0-255 are bytes, 256 ends a document";
  }
  std::int32_t vocabulary() const override { return 257; }
  std::int32_t end_of_document() const override { return 256; }
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    ids.reserve(ids.size() + text.size() + 1);
    for (const char letter : text) ids.push_back(static_cast<unsigned char>(letter));
  }
  std::size_t cut(std::string_view text, std::size_t most) const override {
    return text.size() < 2 ? 0 : std::min(most, text.size() - 1);
  }
  std::int64_t byte_length(std::int32_t id) const override {
    check(id);
    return id < 256 ? 1 : 0;
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    text.reserve(ids.size());
    for (const std::int32_t id : ids) {
      check(id);
      if (id < 256) text.push_back(static_cast<char>(id));
    }
    return text;
  }

 private:
  static void check(std::int32_t id) {
    if (id < 0 || id > 256)
      throw Error(concat("token ", id, " is not one of the byte tokenizer's ids 0..256"),
                  ExitCode::bad_input);
  }
};

}  // namespace

std::size_t Tokenizer::cut(std::string_view, std::size_t) const { return 0; }

bool is_built_in_tokenizer(const std::string& name) { return name == "bytes"; }

std::unique_ptr<Tokenizer> make_tokenizer(const std::string& name) {
  if (is_built_in_tokenizer(name)) return std::make_unique<ByteTokenizer>();
  std::error_code ignored;  // a name may be no path at all
  if (std::filesystem::is_regular_file(name, ignored)) return read_bpe_tokenizer(name);
  throw Error(concat("there is no tokenizer '", name,
                     "': it is neither 'bytes' nor the path of a tokenizer.json"),
              ExitCode::usage);
}

}  // namespace metascale
