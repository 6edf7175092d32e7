#include "data/bpe/tokenizer_file.hpp"

#include <algorithm>
#include <initializer_list>
#include <unordered_map>
#include <unordered_set>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "data/bpe/byte_alphabet.hpp"
#include "data/bpe/json_reader.hpp"
#include "data/bpe/normalization.hpp"

namespace metascale {
namespace {

constexpr const char* end_text = "<|endoftext|>";

// Bytes that valid UTF-8 never has.
bool is_never_used(int byte) { return byte == 0xc0 || byte == 0xc1 || byte >= 0xf5; }

class Parser {
 public:
  explicit Parser(const JsonReader& root) : root_(root) {}

  TokenizerFile parse() {
    root_.only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                "post_processor", "decoder", "model"});
    root_.allow("truncation", {nullptr});
    root_.allow("padding", {nullptr});
    parse_normalizer();
    parse_byte_level();
    const JsonReader model = root_.at("model");
    check_model(model);
    const JsonReader vocabulary = model.at("vocab"), added = root_.at("added_tokens");
    // Few ids are without a token, or a small file could ask for much memory.
    largest_id_ = std::min(MergeTable::most_ids - 1, 2 * (vocabulary.size() + added.size()) + 1023);
    parse_vocabulary(vocabulary);
    find_byte_ids(vocabulary);
    parse_merges(model.at("merges"));
    parse_added_tokens(added);
    find_end_of_document();
    return std::move(file_);
  }

 private:
  void parse_normalizer() {
    const std::optional<JsonReader> normalizer = root_.only_step("normalizer", "normalizers");
    if (!normalizer) return;
    normalizer->allow("type", {"NFC"});
    normalizer->only({"type"});
    file_.normalizes = true;
  }

  void parse_byte_level() {
    const auto pre = root_.only_step("pre_tokenizer", "pretokenizers");
    if (!pre) root_.refuse("pre_tokenizer is null; this program knows only ByteLevel");
    pre->allow("type", {"ByteLevel"});
    pre->only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    pre->at("add_prefix_space");  // where it is missing, readers differ
    pre->allow("add_prefix_space", {false});
    pre->allow("use_regex", {true});
    if (const auto post = root_.only_step("post_processor", "processors"))
      post->allow("type", {"ByteLevel"});
    const auto decoder = root_.only_step("decoder", "decoders");
    if (!decoder) root_.refuse("decoder is null; this program knows only ByteLevel");
    decoder->allow("type", {"ByteLevel"});
  }

  static void check_model(const JsonReader& model) {
    model.only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
    model.allow("type", {"BPE"});
    model.allow("dropout", {nullptr, 0});
    model.allow("unk_token", {nullptr});
    model.allow("continuing_subword_prefix", {nullptr, ""});
    model.allow("end_of_word_suffix", {nullptr, ""});
    model.allow("fuse_unk", {false});
    model.allow("byte_fallback", {false});
    model.allow("ignore_merges", {false});
  }

  void parse_vocabulary(const JsonReader& vocabulary) {
    vocabulary.each_member([&](const std::string& token, const JsonReader& id) {
      const std::int32_t value = id.whole_number(largest_id_);
      ids_.emplace(token, value);
      set_bytes(id, value, ByteAlphabet::bytes_of(token));
    });
  }

  void parse_added_tokens(const JsonReader& added) {
    std::unordered_set<std::string> contents;
    for (const JsonReader& token : added.elements()) {
      token.only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      for (const char* key : {"single_word", "lstrip", "rstrip"}) token.allow(key, {false});
      const std::int32_t id = token.at("id").whole_number(largest_id_);
      const std::string content = token.at("content").text();
      if (content.empty()) token.refuse("content is empty");
      const bool is_normalized = token.at("normalized").flag();
      const auto known = ids_.find(content);
      if (known == ids_.end()) {
        set_bytes(token, id, content);
        ids_.emplace(content, id);
      } else if (known->second != id) {
        token.refuse(
            concat("id is ", id, ", but model.vocab gives '", content, "' the id ", known->second));
      }
      file_.bytes[std::size_t(id)] = content;
      if (!contents.insert(content).second) token.refuse(concat("'", content, "' stands twice"));
      std::string storage;
      const bool is_changed = is_normalized && file_.normalizes;
      file_.added.push_back(
          {is_changed ? std::string(normalize(content, storage)) : content, id, is_normalized});
    }
  }

  void set_bytes(const JsonReader& where, std::int32_t id, std::string bytes) {
    const auto index = std::size_t(id);
    if (index >= file_.bytes.size()) file_.bytes.resize(index + 1);
    if (file_.bytes[index]) where.refuse(concat("the id ", id, " is given twice"));
    file_.bytes[index] = std::move(bytes);
  }

  void find_byte_ids(const JsonReader& vocabulary) {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string letter = ByteAlphabet::letter_of(std::uint8_t(byte));
      const auto found = ids_.find(letter);
      if (found == ids_.end() && !is_never_used(byte))
        vocabulary.refuse(concat("has no token for the byte ", byte, ", '", letter,
                                 "'; a byte-level vocabulary has all"));
      file_.byte_ids[std::size_t(byte)] = found == ids_.end() ? -1 : found->second;
    }
  }

  void parse_merges(const JsonReader& merges) {
    const std::vector<JsonReader> elements = merges.elements();
    if (std::int64_t(elements.size()) > MergeTable::most_merges)
      merges.refuse(concat("has ", elements.size(), " merges; this program takes up to ",
                           MergeTable::most_merges));
    std::unordered_set<std::uint64_t> pairs;
    for (const JsonReader& element : elements) {
      const auto [left, right] = element.pair_of_texts();
      const MergeTable::Merge merge{id_of(element, left), id_of(element, right),
                                    id_of(element, left + right)};
      if (!pairs.insert(std::uint64_t(merge.left) << 32 | std::uint64_t(merge.right)).second)
        element.refuse(concat("'", left, " ", right, "' stands twice"));
      file_.merges.push_back(merge);
    }
  }

  std::int32_t id_of(const JsonReader& merge, const std::string& token) const {
    const auto found = ids_.find(token);
    if (found == ids_.end()) merge.refuse(concat("model.vocab has no token '", token, "'"));
    return found->second;
  }

  void find_end_of_document() {
    const auto found = ids_.find(end_text);
    if (found == ids_.end())
      root_.refuse(concat("has no token ", end_text, " to close a document with"));
    file_.end_of_document = found->second;
  }

  const JsonReader& root_;
  TokenizerFile file_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::int64_t largest_id_ = 0;
};

class Digest {
 public:
  void number(std::int64_t value) { hash_.update(concat(value, ";")); }
  void text(const std::string& value) {
    number(std::int64_t(value.size()));
    hash_.update(value);
  }
  std::string finish() {
    const auto digest = hash_.finish();
    return to_hex(digest.data(), digest.size());
  }

 private:
  Sha256 hash_;
};

}  // namespace

TokenizerFile parse_tokenizer_file(const std::string& text, const std::string& name) {
  const JsonDocument document(text, name);
  return Parser(document.root()).parse();
}

std::string digest_of(const TokenizerFile& file) {
  Digest digest;
  digest.number(file.normalizes);
  digest.number(std::int64_t(file.bytes.size()));
  for (const auto& bytes : file.bytes) {
    digest.number(bytes.has_value());
    digest.text(bytes.value_or(""));
  }
  for (const std::int32_t id : file.byte_ids) digest.number(id);
  digest.number(std::int64_t(file.merges.size()));
  for (const MergeTable::Merge& merge : file.merges)
    for (const std::int32_t id : {merge.left, merge.right, merge.result}) digest.number(id);
  std::vector<AddedToken> added = file.added;
  std::sort(added.begin(), added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  for (const AddedToken& token : added) {
    digest.text(token.content);
    digest.number(token.id);
    digest.number(token.normalized);
  }
  digest.number(file.end_of_document);
  return digest.finish();
}

}  // namespace metascale
