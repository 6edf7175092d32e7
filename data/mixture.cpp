#include "data/mixture.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/domain_means.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/json_text.hpp"

namespace metascale {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(concat("data.mixture: ", what), ExitCode::usage);
}

constexpr const char* forms =
    "as_stored, pile, {weights: {DOMAIN: NUMBER}} or {epochs: {DOMAIN: NUMBER}}";

// Tokens and raw bytes of each domain, counted by the preparation.
const std::vector<DomainCount>& counts_of(const TokenFile& file) {
  if (!file.has_info())
    refuse(concat(file.path().string(),
                  " does not say which document is of which domain; use as_stored, or prepare the "
                  "text with this program"));
  return file.info().domains;
}

double raw_share(const Mixture& mixture, const DomainCount& domain, const TokenFile& file) {
  if (mixture.kind == MixtureKind::pile) {
    if (pile_weight(domain.name) == 0)
      refuse(concat("pile: the domain '", domain.name, "' of ", file.path().string(),
                    " is none of The Pile's; give weights of your own"));
    return pile_weight(domain.name) * double(domain.tokens) /
           double(std::max<std::int64_t>(1, domain.bytes));
  }
  const auto found = mixture.domains.find(domain.name);
  if (found == mixture.domains.end())
    refuse(concat("the domain '", domain.name, "' of ", file.path().string(),
                  " is not named; name every domain, those to leave out with 0"));
  return mixture.kind == MixtureKind::epochs ? found->second * double(domain.tokens)
                                             : found->second;
}

std::uint32_t reverse_bits(std::uint32_t value) {  // of 16
  std::uint32_t reversed = 0;
  for (int bit = 0; bit < 16; ++bit) reversed |= (value >> bit & 1) << (15 - bit);
  return reversed;
}

}  // namespace

Mixture parse_mixture(const std::string& text) {
  if (text == "as_stored") return {};
  if (text == "pile") return {.kind = MixtureKind::pile};
  const Json json = parse_json(text);
  if (!json.is_object() || json.size() != 1 || !json.begin()->is_object() || json.begin()->empty())
    refuse(concat("'", text, "' is none of ", forms));
  Mixture mixture;
  const std::string& kind = json.begin().key();
  if (kind != "weights" && kind != "epochs")
    refuse(concat("'", kind, "' is neither weights nor epochs; write ", forms));
  mixture.kind = kind == "weights" ? MixtureKind::weights : MixtureKind::epochs;
  for (const auto& [domain, value] : json.begin()->items()) {
    if (!value.is_number() || !(value.get<double>() >= 0) || !(value.get<double>() < 1e12))
      refuse(concat(kind, " of '", domain, "' is ", value.dump(), ", not a number of 0 or more"));
    mixture.domains[domain] = value.get<double>();
  }
  if (std::ranges::none_of(mixture.domains, [](const auto& named) { return named.second > 0; }))
    refuse(concat(kind, " of all domains are 0; one at least must be above"));
  return mixture;
}

std::string to_text(const Mixture& mixture) {
  switch (mixture.kind) {
    case MixtureKind::as_stored: return "as_stored";
    case MixtureKind::pile: return "pile";
    case MixtureKind::weights: return Json{{"weights", mixture.domains}}.dump();
    case MixtureKind::epochs: return Json{{"epochs", mixture.domains}}.dump();
  }
  return "?";
}

std::vector<double> shares_of(const Mixture& mixture, const TokenFile& file) {
  std::vector<double> shares;
  for (const DomainCount& domain : counts_of(file))
    shares.push_back(raw_share(mixture, domain, file));
  for (const auto& [name, value] : mixture.domains)
    if (std::find(file.domains().begin(), file.domains().end(), name) == file.domains().end())
      refuse(concat("there is no domain '", name, "' in ", file.path().string()));
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (!(total > 0)) refuse(concat("no domain of ", file.path().string(), " has a share above 0"));
  for (double& share : shares) share /= total;
  return shares;
}

// Places by share: one for each share above 0, the others by the largest remainders.
DomainDraw::DomainDraw(std::uint64_t seed, const std::vector<double>& shares) : seed_(seed) {
  std::vector<std::int64_t> places(shares.size());
  std::vector<std::size_t> by_remainder(shares.size());
  std::iota(by_remainder.begin(), by_remainder.end(), std::size_t(0));
  const auto remainder = [&](std::size_t i) { return shares[i] * block - double(places[i]); };
  std::int64_t left = block;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    places[i] = std::max<std::int64_t>(shares[i] > 0, std::int64_t(shares[i] * block));
    left -= places[i];
  }
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [&](std::size_t a, std::size_t b) { return remainder(a) > remainder(b); });
  for (std::size_t i = 0; left > 0; i = (i + 1) % by_remainder.size(), --left)
    ++places[by_remainder[i]];
  while (left < 0) {  // many tiny shares were given a place: the largest gives them
    --*std::max_element(places.begin(), places.end());
    ++left;
  }
  begins_.assign(1, 0);
  for (const std::int64_t count : places) begins_.push_back(begins_.back() + count);
}

std::uint32_t DomainDraw::flips(std::int64_t block_number) const {
  return std::uint32_t(xxh3_64(&block_number, sizeof block_number, seed_) & (block - 1));
}

// The numbers below count fall into ranges [begin, begin + 2^k), begin a multiple of 2^(k + 1): the
// places of one are x 2^(16 - k) + low for all x below 2^k, and low the same.
std::int64_t DomainDraw::count_below(std::uint32_t flips, std::int64_t count,
                                     std::int64_t end) const {
  std::int64_t below = 0;
  for (int k = 0; k <= 16; ++k) {
    if ((count >> k & 1) == 0) continue;
    const auto begin = std::uint32_t(count >> (k + 1) << (k + 1));
    const std::int64_t low = (reverse_bits(begin) ^ flips) & ((std::uint32_t(1) << (16 - k)) - 1);
    if (end > low) below += ((end - low - 1) >> (16 - k)) + 1;
  }
  return below;
}

DomainDraw::Place DomainDraw::of(std::int64_t sample) const {
  const std::int64_t number = sample / block, in_block = sample % block;
  const std::uint32_t mask = flips(number);
  const std::int64_t place = reverse_bits(std::uint32_t(in_block)) ^ mask;
  const auto domain =
      std::size_t(std::upper_bound(begins_.begin(), begins_.end(), place) - begins_.begin()) - 1;
  const std::int64_t begin = begins_[domain], end = begins_[domain + 1];
  return {domain, number * (end - begin) + count_below(mask, in_block, end) -
                      count_below(mask, in_block, begin)};
}

std::vector<std::int64_t> DomainDraw::drawn(std::int64_t samples) const {
  const std::int64_t number = samples / block, in_block = samples % block;
  const std::uint32_t mask = flips(number);
  std::vector<std::int64_t> counts;
  for (std::size_t domain = 0; domain + 1 < begins_.size(); ++domain) {
    const std::int64_t begin = begins_[domain], end = begins_[domain + 1];
    counts.push_back(number * (end - begin) + count_below(mask, in_block, end) -
                     count_below(mask, in_block, begin));
  }
  return counts;
}

}  // namespace metascale
