// The order of training data is a function of (seed, sample): nothing is stored, and resuming needs
// only the number of samples so far. Every architecture, micro-batch and number of ranks sees the
// same order.
//
//   N = (tokens - 1) / context windows;  epoch e = s / N;  j = s mod N;  window = permutation(seed,
//   e, j); the window holds tokens [window * context, window * context + context], neighbours
//   overlap by one token. permutation: 4 rounds of a Feistel network on ceil(log2 N) bits, rounded
//   up to even, whose round function is splitmix64 of (seed, epoch, round, half), with cycle
//   walking to stay below N.
#pragma once

#include <cstdint>
#include <string>

namespace metascale {

// rwkv: the order of RWKV-LM's trainer, to repeat runs made with it: window = factor (s + 1)^3 mod
// p, p the largest prime = 2 mod 3 below tokens / context - 1 (x -> x^3 is a bijection then). It
// knows no seed, its epochs are alike, and the windows from p on are never seen.
// neox, as_stored: no windows of one stream [data/sample_order.hpp].
enum class OrderKind { permuted, sequential, rwkv, neox, as_stored };
// Throws Error{usage} naming what there is.
OrderKind parse_order_kind(const std::string& name);
const char* name_of(OrderKind kind);

std::int64_t window_count(std::int64_t tokens,
                          std::int64_t context);  // whole windows of context + 1 tokens

// The seed of a run's data order out of the definition's order_seed and the run's own seed.
std::uint64_t mix_seeds(std::uint64_t order_seed, std::uint64_t run_seed);

// A bijection of [0, size) for each (seed, epoch). size >= 1, 0 <= index < size.
std::int64_t permute(std::uint64_t seed, std::int64_t epoch, std::int64_t size, std::int64_t index);

struct Order {
  OrderKind kind = OrderKind::permuted;
  std::uint64_t seed = 0;
  std::int64_t windows = 0;  // N; rwkv: p
  // Windows that stay together: permute windows of the longest context of a study and cut each into
  // `pieces`, and every context length sees the same tokens at each step. It divides windows.
  std::int64_t pieces = 1;

  std::int64_t window(std::int64_t sample) const;  // of sample s >= 0, counted over all epochs
  std::int64_t epoch(std::int64_t sample) const { return sample / windows; }
};

// permuted, sequential or rwkv over a stream of tokens. Throws Error{bad_input} if it has not one
// window.
Order make_order(OrderKind kind, std::uint64_t seed, std::int64_t tokens, std::int64_t context,
                 std::int64_t pieces = 1);

}  // namespace metascale
