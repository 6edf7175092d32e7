// What a training sample is made of: runs of consecutive tokens of a file. A sample is a function
// of its number alone, so nothing is stored between steps, and every architecture, micro-batch and
// number of ranks sees the same samples.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/mixture.hpp"
#include "data/order.hpp"
#include "data/token_file.hpp"

namespace metascale {

struct TokenRun {
  std::int64_t first = 0, tokens = 0;  // of the file's stream
};

// What was drawn from one domain, or from the whole file where no mixture was asked for.
struct DrawnDomain {
  std::string domain;
  std::int64_t samples = 0;
  std::int64_t pass = 1;  // samples of one pass over the domain
  double epochs() const { return double(samples) / double(pass); }
};

class SampleOrder {
 public:
  virtual ~SampleOrder() = default;
  // Replaces runs by those of sample s >= 0: context + 1 tokens together, in order.
  virtual void runs_of(std::int64_t sample, std::vector<TokenRun>& runs) const = 0;
  // What the first `samples` samples were drawn from, exactly.
  virtual std::vector<DrawnDomain> drawn(std::int64_t samples) const = 0;
};

struct SampleOptions {
  OrderKind kind = OrderKind::permuted;
  std::uint64_t order_seed = 1234, run_seed = 1;
  std::int64_t context = 0;
  std::int64_t samples = 0;  // of the whole training: neox depends on it
  Mixture mixture;
};
// The seed of permuted and of mixtures is both seeds mixed, neox has order_seed as it is; the other
// orders have none. file must outlive the order. Throws Error{bad_input} where the file does not
// hold a sample or is not what the order is for, Error{usage} for a mixture with an order other
// than permuted, or one that does not name the file's domains.
std::unique_ptr<SampleOrder> make_sample_order(const TokenFile& file, const SampleOptions& options);
std::unique_ptr<SampleOrder> make_sample_order(TokenFile&&, const SampleOptions&) = delete;

// Windows of the stream. Throws Error if the order was made for a longer file.
std::unique_ptr<SampleOrder> make_window_order(const TokenFile& file, const Order& order,
                                               std::int64_t context);

}  // namespace metascale
