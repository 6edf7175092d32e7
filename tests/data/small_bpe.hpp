// A byte-level BPE that a test learns itself, and the plain way to encode with it.
#pragma once

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/files.hpp"

namespace metascale::testing {

// The letters for bytes, made as GPT-2 makes them.
inline std::vector<std::string> byte_letters() {
  std::vector<std::string> letters;
  int others = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    const int code = itself ? byte : 256 + others++;
    letters.push_back(code < 128 ? std::string(1, char(code))
                                 : std::string{char(0xc0 | code >> 6), char(0x80 | (code & 63))});
  }
  return letters;
}

class SmallBpe {
 public:
  using Pair = std::pair<std::string, std::string>;

  // Learns merges from words by counting pairs.
  SmallBpe(const std::vector<std::string>& words, int merges) {
    for (const std::string& letter : letters_) tokens_.push_back(letter);
    std::vector<std::vector<std::string>> split;
    for (const std::string& word : words) split.push_back(letters_of(word));
    for (int i = 0; i < merges; ++i) {
      std::map<Pair, int> counts;
      for (const auto& word : split)
        for (std::size_t j = 0; j + 1 < word.size(); ++j) ++counts[{word[j], word[j + 1]}];
      if (counts.empty()) break;
      const auto most = std::max_element(counts.begin(), counts.end(),
                                         [](auto& a, auto& b) { return a.second < b.second; });
      const Pair pair = most->first;
      ranks_.emplace(pair, int(merges_.size()));
      merges_.push_back(pair);
      const std::string token = pair.first + pair.second;
      if (std::find(tokens_.begin(), tokens_.end(), token) == tokens_.end())
        tokens_.push_back(token);
      for (auto& word : split) merge(word, pair);
    }
    // The last merged token has the lowest id: ids must not be taken for ranks.
    for (std::size_t i = 0; i < tokens_.size(); ++i) ids_[tokens_[i]] = int(tokens_.size() - i) + 2;
  }

  // Ids 0..2: the end of a document, looked for before NFC, and two and three blanks behind it.
  nlohmann::json json() const {
    nlohmann::json vocabulary = ids_, merges = nlohmann::json::array();
    for (const auto& [left, right] : merges_) merges.push_back(left + " " + right);
    const nlohmann::json byte_level = {
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
    return {{"version", "1.0"},
            {"truncation", nullptr},
            {"padding", nullptr},
            {"added_tokens",
             {added(0, "<|endoftext|>", false), added(1, "  ", true), added(2, "   ", true)}},
            {"normalizer", {{"type", "NFC"}}},
            {"pre_tokenizer", byte_level},
            {"post_processor", byte_level},
            {"decoder", byte_level},
            {"model",
             {{"type", "BPE"},
              {"dropout", nullptr},
              {"unk_token", nullptr},
              {"continuing_subword_prefix", nullptr},
              {"end_of_word_suffix", nullptr},
              {"fuse_unk", false},
              {"vocab", vocabulary},
              {"merges", merges}}}};
  }
  std::filesystem::path write(const TemporaryFolder& folder) const {
    return folder.write("small.json", json().dump());
  }
  int id_of(const std::string& token) const { return ids_.at(token); }

  // As the algorithm is told: merge the pair of the lowest rank, the leftmost, until none is left.
  std::vector<std::int32_t> encode_word(const std::string& bytes) const {
    std::vector<std::string> word = letters_of(bytes);
    while (true) {
      int best = int(merges_.size());
      std::size_t at = 0;
      for (std::size_t i = 0; i + 1 < word.size(); ++i) {
        const auto found = ranks_.find({word[i], word[i + 1]});
        if (found == ranks_.end() || found->second >= best) continue;
        best = found->second;
        at = i;
      }
      if (best == int(merges_.size())) break;
      word[at] += word[at + 1];
      word.erase(word.begin() + std::ptrdiff_t(at) + 1);
    }
    std::vector<std::int32_t> ids;
    for (const std::string& token : word) ids.push_back(ids_.at(token));
    return ids;
  }

 private:
  static nlohmann::json added(int id, const std::string& content, bool normalized) {
    return {
        {"id", id},        {"content", content},       {"single_word", false},  {"lstrip", false},
        {"rstrip", false}, {"normalized", normalized}, {"special", !normalized}};
  }
  std::vector<std::string> letters_of(const std::string& bytes) const {
    std::vector<std::string> letters;
    for (const char byte : bytes) letters.push_back(letters_[static_cast<unsigned char>(byte)]);
    return letters;
  }
  static void merge(std::vector<std::string>& word, const Pair& pair) {
    for (std::size_t i = 0; i + 1 < word.size(); ++i) {
      if (word[i] != pair.first || word[i + 1] != pair.second) continue;
      word[i] += word[i + 1];
      word.erase(word.begin() + std::ptrdiff_t(i) + 1);
    }
  }

  const std::vector<std::string> letters_ = byte_letters();
  std::vector<std::string> tokens_;
  std::vector<Pair> merges_;
  std::map<Pair, int> ranks_;
  std::map<std::string, int> ids_;
};

// Words of few letters, so that merges nest: "a", " ab", "bca", ... and some beyond ASCII.
inline SmallBpe learn_small_bpe() {
  std::vector<std::string> words;
  std::uint32_t state = 7;
  for (int i = 0; i < 300; ++i) {
    std::string word = i % 2 ? " " : "";
    state = state * 1664525u + 1013904223u;
    const std::size_t length = 1 + (state >> 20) % 9;
    for (std::size_t j = 0; j < length; ++j) {
      state = state * 1664525u + 1013904223u;
      word += std::vector<std::string>{"a", "a", "b", "c", "\xc3\xa9"}[(state >> 24) % 5];
    }
    words.push_back(word);
  }
  return SmallBpe(words, 80);
}

}  // namespace metascale::testing
