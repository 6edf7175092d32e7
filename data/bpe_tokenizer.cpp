#include "data/bpe_tokenizer.hpp"

#include <simdjson.h>

#include <algorithm>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "data/bpe/added_tokens.hpp"
#include "data/bpe/merges.hpp"
#include "data/bpe/normalization.hpp"
#include "data/bpe/pretokenizer.hpp"
#include "data/bpe/tokenizer_file.hpp"
#include "data/bpe/word_cache.hpp"
#include "data/utf8.hpp"

namespace metascale {
namespace {

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(std::string name, TokenizerFile file)
      : name_(std::move(name)),
        identity_("byte-level BPE v1, sha256 " + digest_of(file)),
        file_(std::move(file)),
        merges_(file_.byte_ids, file_.merges) {
    for (const AddedToken& token : file_.added) {
      line_end_in_added_token_ |= token.content.find('\n') != std::string::npos;
      AddedTokens& tokens = token.normalized ? added_behind_ : added_before_;
      if (!tokens.add(token.content, token.id))
        throw Error(
            concat(name_, ": added_tokens: two are the same after NFC, one of them ", token.id),
            ExitCode::bad_input);
    }
  }

  std::string name() const override { return name_; }
  std::string identity() const override { return identity_; }
  std::int32_t vocabulary() const override { return std::int32_t(file_.bytes.size()); }
  std::int32_t end_of_document() const override { return file_.end_of_document; }

  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    if (!simdjson::validate_utf8(text.data(), text.size())) {
      const std::string repaired = repair_utf8(text);
      return encode_valid(repaired, ids);
    }
    encode_valid(text, ids);
  }

  // Before a line's end between two ASCII letters: there a word ends and another begins, NFC joins
  // nothing, and no added token reaches across where none holds a line's end.
  std::size_t cut(std::string_view text, std::size_t most) const override {
    if (line_end_in_added_token_ || text.size() < 3) return 0;
    for (std::size_t at = std::min(most, text.size() - 2); at > 0; --at)
      if (text[at] == '\n' && is_ascii_letter(text[at - 1]) && is_ascii_letter(text[at + 1]))
        return at;
    return 0;
  }

  std::int64_t byte_length(std::int32_t id) const override {
    return id == file_.end_of_document ? 0 : std::int64_t(bytes_of(id).size());
  }

  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids) text += bytes_of(id);
    return text;
  }

 private:
  void encode_valid(std::string_view text, std::vector<std::int32_t>& ids) const {
    std::unique_ptr<WordCache> cache = caches_.take();
    const auto on_token = [&](std::int32_t id) { ids.push_back(id); };
    const auto compute = [&](std::string_view word, std::vector<std::int32_t>& out) {
      merges_.encode(word, out);
    };
    const auto on_word = [&](std::string_view word) {
      if (word.size() <= WordCache::longest_word)
        cache->encode(word, ids, compute);
      else
        merges_.encode(word, ids);
    };
    const auto on_words = [&](std::string_view words) { pretokenizer_.split(words, on_word); };
    std::string storage;
    const auto on_text = [&](std::string_view piece) {
      added_behind_.split(file_.normalizes ? normalize(piece, storage) : piece, on_words, on_token);
    };
    added_before_.split(text, on_text, on_token);
    caches_.give_back(std::move(cache));
  }

  const std::string& bytes_of(std::int32_t id) const {
    if (id < 0 || id >= vocabulary() || !file_.bytes[std::size_t(id)])
      throw Error(concat("token ", id, " is not one of the ids of ", name_, ", which are below ",
                         vocabulary()),
                  ExitCode::bad_input);
    return *file_.bytes[std::size_t(id)];
  }

  std::string name_, identity_;
  TokenizerFile file_;
  MergeTable merges_;
  bool line_end_in_added_token_ = false;
  AddedTokens added_before_, added_behind_;  // NFC
  Pretokenizer pretokenizer_;
  mutable WordCachePool caches_;  // locks itself
};

}  // namespace

std::unique_ptr<Tokenizer> read_bpe_tokenizer(const std::filesystem::path& path) {
  return std::make_unique<BpeTokenizer>(path.filename().string(),
                                        parse_tokenizer_file(read_file(path), path.string()));
}

}  // namespace metascale
