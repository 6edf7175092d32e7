#include "data/overlap.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "data/files/parallel_tasks.hpp"

namespace metascale {
namespace {

constexpr std::int64_t piece_tokens = 1 << 16;  // read at a time
constexpr std::int64_t group_tokens = 1 << 22;  // between two calls of progress
constexpr std::uint64_t base = 0x9e3779b97f4a7c15u;

constexpr std::uint64_t power_of_base(std::int64_t exponent) {
  std::uint64_t power = 1;
  for (std::int64_t i = 0; i < exponent; ++i) power *= base;
  return power;
}

// The finaliser of MurmurHash3 [Appleby]: a bijection.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 33)) * 0xff51afd7ed558ccdu;
  value = (value ^ (value >> 33)) * 0xc4ceb9fe1a85ec53u;
  return value ^ (value >> 33);
}

// Hashes of the 13-word runs of one document, whose text comes in pieces.
class GramRoller {
 public:
  template <typename Visit>
  void feed(std::string_view text, Visit&& visit) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      const bool upper = byte >= 'A' && byte <= 'Z';
      if (upper || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte >= 128) {
        word_ = (word_ ^ (upper ? byte + 32u : byte)) * 0x100000001b3u;  // FNV-1a
        in_word_ = true;
      } else if (in_word_) {
        end_word(visit);
      }
    }
  }
  template <typename Visit>
  void end(Visit&& visit) {
    if (in_word_) end_word(visit);
    words_ = 0;
    rolling_ = 0;
    ring_.fill(0);
  }

 private:
  template <typename Visit>
  void end_word(Visit&& visit) {
    std::uint64_t& oldest = ring_[std::size_t(words_ % overlap_words)];
    const std::uint64_t hash = mix(word_);
    rolling_ = rolling_ * base + hash - oldest * power_of_base(overlap_words);
    oldest = hash;
    if (++words_ >= overlap_words) visit(mix(rolling_));
    word_ = first_;
    in_word_ = false;
  }

  static constexpr std::uint64_t first_ = 0xcbf29ce484222325u;
  std::uint64_t word_ = first_, rolling_ = 0;
  bool in_word_ = false;
  std::int64_t words_ = 0;
  std::array<std::uint64_t, overlap_words> ring_{};
};

template <typename Visit>
void visit_grams(const TokenFile& file, std::int64_t document, const Tokenizer& tokenizer,
                 Visit&& visit) {
  std::vector<std::int32_t> ids;
  GramRoller roller;
  const std::int64_t end = file.document_begin(document + 1);
  for (std::int64_t token = file.document_begin(document); token < end; token += piece_tokens) {
    ids.resize(std::size_t(std::min(piece_tokens, end - token)));
    file.read(token, std::int64_t(ids.size()), ids.data());
    if (token + piece_tokens >= end && ids.back() == tokenizer.end_of_document()) ids.pop_back();
    roller.feed(tokenizer.decode(ids), visit);
  }
  roller.end(visit);
}

// The held-out grams whose hash is below a limit, which falls while there are too many.
class GramSet {
 public:
  explicit GramSet(std::int64_t most) : most_(std::size_t(std::max<std::int64_t>(1, most))) {}

  void add(std::uint64_t gram) {
    if (gram > limit_) return;
    grams_.push_back(gram);
    if (grams_.size() > 2 * most_) reduce();
  }
  void finish() {
    reduce();
    slots_.assign(std::bit_ceil(2 * grams_.size() + 2), 0);
    seen_ = std::vector<std::atomic<bool>>(slots_.size());
    for (const std::uint64_t gram : grams_) {
      std::size_t slot = slot_of(gram);
      while (slots_[slot] != 0) slot = next(slot);
      slots_[slot] = stored(gram);
    }
    grams_ = {};
  }
  bool is_sampled(std::uint64_t gram) const { return gram <= limit_; }
  double sample() const { return double(limit_) / double(~std::uint64_t(0)); }

  void see(std::uint64_t gram) {  // thread-safe
    if (const std::size_t slot = find(gram); slot < slots_.size())
      seen_[slot].store(true, std::memory_order_relaxed);
  }
  bool was_seen(std::uint64_t gram) const {
    const std::size_t slot = find(gram);
    return slot < slots_.size() && seen_[slot].load(std::memory_order_relaxed);
  }

 private:
  static std::uint64_t stored(std::uint64_t gram) { return gram == 0 ? 1 : gram; }  // 0: empty
  std::size_t slot_of(std::uint64_t gram) const {
    return std::size_t(stored(gram) * base) & (slots_.size() - 1);
  }
  std::size_t next(std::size_t slot) const { return (slot + 1) & (slots_.size() - 1); }
  std::size_t find(std::uint64_t gram) const {  // slots_.size(): it is not there
    if (gram > limit_) return slots_.size();
    for (std::size_t slot = slot_of(gram); slots_[slot] != 0; slot = next(slot))
      if (slots_[slot] == stored(gram)) return slot;
    return slots_.size();
  }
  void reduce() {
    std::sort(grams_.begin(), grams_.end());
    grams_.erase(std::unique(grams_.begin(), grams_.end()), grams_.end());
    while (grams_.size() > most_) {
      limit_ /= 2;
      grams_.erase(std::upper_bound(grams_.begin(), grams_.end(), limit_), grams_.end());
    }
  }

  std::size_t most_;
  std::uint64_t limit_ = ~std::uint64_t(0);
  std::vector<std::uint64_t> grams_, slots_;
  std::vector<std::atomic<bool>> seen_;
};

void check_tokenizer(const TokenFile& file, const Tokenizer& tokenizer) {
  if (file.has_info() && file.info().tokenizer_identity != tokenizer.identity())
    throw Error(concat(file.path().string(), ".json: was made by the tokenizer '",
                       file.info().tokenizer_identity, "', not by '", tokenizer.identity(),
                       "'; name the one that made it"),
                ExitCode::bad_input);
}

void look_through(const TokenFile& train, const Tokenizer& tokenizer, const OverlapOptions& options,
                  GramSet& grams) {
  for (std::int64_t first = 0; first < train.documents();) {
    std::int64_t last = first;
    while (last < train.documents() &&
           train.document_begin(last) - train.document_begin(first) < group_tokens)
      ++last;
    run_tasks(options.threads, first, last, [&](std::int64_t document) {
      visit_grams(train, document, tokenizer, [&](std::uint64_t gram) { grams.see(gram); });
    });
    first = last;
    if (options.progress) options.progress(train.document_begin(last));
  }
}

void count(const TokenFile& held_out, std::int64_t document, const Tokenizer& tokenizer,
           const GramSet& grams, DomainOverlap& row) {
  std::int64_t all = 0, looked_at = 0, shared = 0;
  visit_grams(held_out, document, tokenizer, [&](std::uint64_t gram) {
    ++all;
    looked_at += grams.is_sampled(gram);
    shared += grams.was_seen(gram);
  });
  row.documents += all > 0;
  row.grams += looked_at;
  row.shared += shared;
  row.any += shared > 0;
  row.half += shared > 0 && 2 * shared >= looked_at;
}

}  // namespace

OverlapReport find_overlap(const TokenFile& train, const TokenFile& held_out,
                           const Tokenizer& tokenizer, const OverlapOptions& options) {
  check_tokenizer(train, tokenizer);
  check_tokenizer(held_out, tokenizer);
  GramSet grams(options.most_grams);
  for (std::int64_t document = 0; document < held_out.documents(); ++document)
    visit_grams(held_out, document, tokenizer, [&](std::uint64_t gram) { grams.add(gram); });
  grams.finish();
  look_through(train, tokenizer, options, grams);
  OverlapReport report{.sample = grams.sample(), .total = {.domain = "all"}};
  for (const std::string& name : held_out.domains()) report.domains.push_back({.domain = name});
  for (std::int64_t document = 0; document < held_out.documents(); ++document)
    count(held_out, document, tokenizer, grams,
          report.domains[std::size_t(held_out.domain_of(document))]);
  for (const DomainOverlap& row : report.domains) {
    report.total.documents += row.documents;
    report.total.grams += row.grams;
    report.total.shared += row.shared;
    report.total.any += row.any;
    report.total.half += row.half;
  }
  return report;
}

std::string to_json_text(const std::vector<OverlapReport>& reports) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  const auto row_of = [](const DomainOverlap& row) {
    return nlohmann::ordered_json{{"domain", row.domain}, {"documents", row.documents},
                                  {"grams", row.grams},   {"shared", row.shared},
                                  {"any", row.any},       {"half", row.half}};
  };
  for (const OverlapReport& report : reports) {
    auto domains = nlohmann::ordered_json::array();
    for (const DomainOverlap& row : report.domains) domains.push_back(row_of(row));
    json.push_back({{"part", report.part},
                    {"words", overlap_words},
                    {"sample", report.sample},
                    {"total", row_of(report.total)},
                    {"domains", domains}});
  }
  return json.dump(1) + "\n";
}

}  // namespace metascale
