#include "data/sample_order.hpp"

#include "core/error.hpp"
#include "data/orders/mixture_order.hpp"
#include "data/orders/neox_order.hpp"

namespace metascale {
namespace {

class WindowOrder final : public SampleOrder {
 public:
  WindowOrder(const Order& order, std::int64_t context) : order_(order), context_(context) {}
  void runs_of(std::int64_t sample, std::vector<TokenRun>& runs) const override {
    runs.assign(1, {order_.window(sample) * context_, context_ + 1});
  }
  std::vector<DrawnDomain> drawn(std::int64_t samples) const override {
    return {{.domain = "all", .samples = samples, .pass = order_.windows}};
  }

 private:
  Order order_;
  std::int64_t context_;
};

// Sets that come as rows, one sample each, in the order of training [Pythia's pre-shuffled Pile].
class RowOrder final : public SampleOrder {
 public:
  RowOrder(const TokenFile& file, std::int64_t context)
      : rows_(file.sequences()), row_(context + 1) {
    for (std::int64_t row = 0; row < rows_; ++row) {
      const std::int64_t length = file.sequence_begin(row + 1) - file.sequence_begin(row);
      if (length != row_)
        throw Error(concat(file.path().string(), ": row ", row, " has ", length,
                           " tokens; the order as_stored takes rows of context + 1 = ", row_,
                           "; use that context, or permuted"),
                    ExitCode::bad_input);
    }
    if (rows_ == 0) throw Error(concat(file.path().string(), ": has no rows"), ExitCode::bad_input);
  }
  void runs_of(std::int64_t sample, std::vector<TokenRun>& runs) const override {
    runs.assign(1, {sample % rows_ * row_, row_});
  }
  std::vector<DrawnDomain> drawn(std::int64_t samples) const override {
    return {{.domain = "all", .samples = samples, .pass = rows_}};
  }

 private:
  std::int64_t rows_, row_;
};

}  // namespace

std::unique_ptr<SampleOrder> make_window_order(const TokenFile& file, const Order& order,
                                               std::int64_t context) {
  if (order.windows < 1 || order.windows > window_count(file.tokens(), context))
    throw Error(concat(file.path().string(), " has ", window_count(file.tokens(), context),
                       " windows of context ", context, ", but the data order was made for ",
                       order.windows, "; make the order for this file and context"));
  return std::make_unique<WindowOrder>(order, context);
}

std::unique_ptr<SampleOrder> make_sample_order(const TokenFile& file,
                                               const SampleOptions& options) {
  const std::int64_t context = options.context;
  const std::uint64_t seed = mix_seeds(options.order_seed, options.run_seed);
  if (options.mixture.kind != MixtureKind::as_stored) {
    if (options.kind != OrderKind::permuted)
      throw Error(concat("data.order: ", name_of(options.kind),
                         " goes with data.mixture: as_stored "
                         "only; use permuted"),
                  ExitCode::usage);
    return std::make_unique<MixtureOrder>(file, options.mixture, seed, context);
  }
  switch (options.kind) {
    case OrderKind::permuted:
    case OrderKind::sequential:
    case OrderKind::rwkv:
      return make_window_order(file, make_order(options.kind, seed, file.tokens(), context),
                               context);
    case OrderKind::neox:
      return std::make_unique<NeoxOrder>(file, options.order_seed, context, options.samples);
    case OrderKind::as_stored: return std::make_unique<RowOrder>(file, context);
  }
  return nullptr;
}

}  // namespace metascale
