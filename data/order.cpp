#include "data/order.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "core/error.hpp"

namespace metascale {
namespace {

constexpr std::array<std::pair<const char*, OrderKind>, 5> kinds{
    {{"permuted", OrderKind::permuted},
     {"sequential", OrderKind::sequential},
     {"rwkv", OrderKind::rwkv},
     {"neox", OrderKind::neox},
     {"as_stored", OrderKind::as_stored}}};

// Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014 (the mixer of
// splitmix64).
constexpr std::uint64_t splitmix64(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

// One pass of the network over [0, 4^half_bits).
std::uint64_t feistel(std::uint64_t key, int half_bits, std::uint64_t value) {
  const std::uint64_t mask = (std::uint64_t(1) << half_bits) - 1;
  std::uint64_t left = value >> half_bits, right = value & mask;
  for (std::uint64_t round = 0; round < 4; ++round) {
    const std::uint64_t mixed = splitmix64(splitmix64(key + round) + right) & mask;
    left = std::exchange(right, left ^ mixed);
  }
  return left << half_bits | right;
}

bool is_prime(std::int64_t number) {
  if (number < 4) return number > 1;
  for (std::int64_t divisor = 2; divisor * divisor <= number; ++divisor)
    if (number % divisor == 0) return false;
  return true;
}

// 0 if there is none.
std::int64_t magic_prime(std::int64_t tokens, std::int64_t context) {
  const std::int64_t most =
      (tokens - 1) / context - 1;  // the largest whole number below the quotient - 1
  for (std::int64_t number = most; number > 1; --number)
    if (number % 3 == 2 && is_prime(number)) return number;
  return 0;
}

// factor (s + 1)^3 mod p; the factor is p times the golden section, rounded as RWKV-LM does it in
// double.
std::int64_t cubic_window(std::int64_t prime, std::int64_t sample) {
  using Wide = unsigned __int128;
  const auto p = static_cast<Wide>(prime);
  const auto factor = static_cast<Wide>(double(prime) * ((std::sqrt(5.0) - 1) / 2));
  const Wide number = (static_cast<Wide>(sample) + 1) % p;
  return std::int64_t(number * number % p * number % p * factor % p);
}

}  // namespace

OrderKind parse_order_kind(const std::string& name) {
  for (const auto& [known, kind] : kinds)
    if (name == known) return kind;
  throw Error(concat("there is no data order '", name,
                     "'; there are permuted, sequential, rwkv, neox and as_stored"),
              ExitCode::usage);
}

const char* name_of(OrderKind kind) {
  for (const auto& [name, known] : kinds)
    if (kind == known) return name;
  return "?";
}

std::int64_t window_count(std::int64_t tokens, std::int64_t context) {
  return tokens < 2 ? 0 : (tokens - 1) / context;
}

std::uint64_t mix_seeds(std::uint64_t order_seed, std::uint64_t run_seed) {
  return splitmix64(splitmix64(order_seed) ^ run_seed);
}

std::int64_t permute(std::uint64_t seed, std::int64_t epoch, std::int64_t size,
                     std::int64_t index) {
  const std::uint64_t key = splitmix64(splitmix64(seed) + std::uint64_t(epoch));
  const int half_bits = std::max(1, (int(std::bit_width(std::uint64_t(size - 1))) + 1) / 2);
  std::uint64_t value = std::uint64_t(index);
  do {
    value = feistel(key, half_bits, value);  // a bijection, so the walk comes back below size
  } while (value >= std::uint64_t(size));
  return std::int64_t(value);
}

std::int64_t Order::window(std::int64_t sample) const {
  if (kind == OrderKind::rwkv) return cubic_window(windows, sample);
  const std::int64_t place = sample % windows;
  if (kind == OrderKind::sequential) return place;
  return permute(seed, epoch(sample), windows / pieces, place / pieces) * pieces + place % pieces;
}

Order make_order(OrderKind kind, std::uint64_t seed, std::int64_t tokens, std::int64_t context,
                 std::int64_t pieces) {
  if (context < 1 || pieces < 1)
    throw Error(concat("a data order needs a context and pieces of at least 1, not ", context,
                       " and ", pieces));
  if (kind == OrderKind::neox || kind == OrderKind::as_stored)
    throw Error(concat("the order ", name_of(kind), " is none of windows; make a sample order"));
  if (kind == OrderKind::rwkv && pieces != 1)
    throw Error("the rwkv order cannot keep windows together; use permuted", ExitCode::usage);
  const std::int64_t windows = kind == OrderKind::rwkv
                                   ? magic_prime(tokens, context)
                                   : window_count(tokens, context * pieces) * pieces;
  if (windows < 1)
    throw Error(concat("the training data has ", tokens, " tokens, but one window of context ",
                       context * pieces, " takes ", context * pieces + 1,
                       "; use more text or a shorter context"),
                ExitCode::bad_input);
  return {.kind = kind, .seed = seed, .windows = windows, .pieces = pieces};
}

}  // namespace metascale
