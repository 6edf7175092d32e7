// Remembers the ids of short words: text repeats its words.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace metascale {

class WordCache {
 public:
  static constexpr std::size_t longest_word = 30;  // bytes
  static constexpr std::size_t most_ids = 8;

  WordCache() : entries_(std::size_t(1) << bits) {}

  // word: of 1 to longest_word bytes. Appends its ids; where it is not known, compute(word, ids)
  // does so.
  template <typename Compute>
  void encode(std::string_view word, std::vector<std::int32_t>& ids, Compute&& compute) {
    Entry& entry = entries_[hash(word)];
    if (entry.word_size == word.size() &&
        std::memcmp(entry.word.data(), word.data(), word.size()) == 0) {
      ids.insert(ids.end(), entry.ids.begin(), entry.ids.begin() + entry.id_count);
      return;
    }
    const std::size_t before = ids.size();
    compute(word, ids);
    const std::size_t count = ids.size() - before;
    if (count > most_ids) return;
    entry.word_size = std::uint8_t(word.size());
    entry.id_count = std::uint8_t(count);
    std::memcpy(entry.word.data(), word.data(), word.size());
    std::copy(ids.end() - std::ptrdiff_t(count), ids.end(), entry.ids.begin());
  }

 private:
  static constexpr int bits = 15;  // 2 MiB: more of them leave the processor's cache
  struct alignas(64) Entry {       // one line of the processor's cache
    std::array<std::int32_t, most_ids> ids;
    std::array<char, longest_word> word;
    std::uint8_t word_size = 0, id_count = 0;  // 0: empty
  };
  static std::size_t hash(std::string_view word) {
    std::uint64_t value = word.size() * 0x9e3779b97f4a7c15u;
    const char* at = word.data();
    std::size_t rest = word.size();
    for (; rest >= 8; at += 8, rest -= 8) value = mix(value, at, 8);
    if (rest > 0) value = mix(value, at, rest);
    return std::size_t(value >> (64 - bits));
  }
  static std::uint64_t mix(std::uint64_t value, const char* at, std::size_t count) {
    std::uint64_t block = 0;
    std::memcpy(&block, at, count);
    value = (value ^ block) * 0xff51afd7ed558ccdu;
    return value ^ value >> 32;
  }
  std::vector<Entry> entries_;
};

// Lends each thread a cache of its own.
class WordCachePool {
 public:
  std::unique_ptr<WordCache> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        std::unique_ptr<WordCache> cache = std::move(free_.back());
        free_.pop_back();
        return cache;
      }
    }
    return std::make_unique<WordCache>();
  }
  void give_back(std::unique_ptr<WordCache> cache) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(cache));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<WordCache>> free_;
};

}  // namespace metascale
