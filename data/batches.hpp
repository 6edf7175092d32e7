// Batches: a pure function of (file, order, step). B rows (windows) of T tokens.
#pragma once

#include <cstdint>
#include <memory>

#include "data/order.hpp"
#include "data/sample_order.hpp"
#include "data/token_file.hpp"

namespace metascale {

// The caller's memory for rows of a batch; what is null is left out.
struct Batch {
  std::int64_t rows = 0;                // B
  std::int64_t context = 0;             // T
  std::int32_t* tokens = nullptr;       // (B, T)
  std::int32_t* targets = nullptr;      // (B, T) the next token of each
  float* weights = nullptr;             // (B, T) of each target in the loss: 1 is scored, 0 is not
  std::int32_t* segment_ids = nullptr;  // (B, T) which document of its row a token is of: 0, 1, ...
};

// One window: context + 1 tokens from `first` on, into row `row`, with weight 1. Positions at or
// behind the file's end hold `padding` with weight 0, in a segment of their own.
void fill_row(const TokenFile& file, std::int64_t first, std::int32_t padding, const Batch& batch,
              std::int64_t row);

// In place: segment ids (rows, context) become, per token, the position in its row of its segment's
// first token.
void to_first_positions(std::int64_t rows, std::int64_t context, std::int32_t* segment_ids);

class Batches {
 public:
  // rows: samples of one optimizer step, over all ranks. file must outlive this.
  Batches(const TokenFile& file, std::unique_ptr<const SampleOrder> order, std::int64_t context,
          std::int64_t rows);
  Batches(const TokenFile& file, const Order& order, std::int64_t context, std::int64_t rows);
  Batches(TokenFile&&, const Order&, std::int64_t, std::int64_t) = delete;

  std::int64_t rows() const { return rows_; }
  std::int64_t context() const { return context_; }
  // Rows [first_row, first_row + batch.rows) of step's batch; step counts from 0. A micro-batch or
  // a rank takes its range of rows and gets the same bits as if it had taken the whole.
  void fill(std::int64_t step, std::int64_t first_row, const Batch& batch) const;

  // The digest of everything trained on up to and with this step, from the digest before it (0 at
  // first): XXH3-64, seeded with the digest so far, of the context + 1 ids of each row as
  // little-endian int32, 1,024 at a time, in row order. It does not depend on micro-batches, ranks
  // or threads.
  std::uint64_t digest(std::uint64_t before, std::int64_t step) const;

  double epochs(std::int64_t steps) const;  // passes over the data after that many steps
  // What was drawn after that many steps, exactly: from each domain where there is a mixture.
  std::vector<DrawnDomain> drawn(std::int64_t steps) const { return order_->drawn(steps * rows_); }

 private:
  void fill_one_row(std::int64_t sample, const Batch& batch, std::int64_t row) const;
  void read_row(std::int64_t sample, std::vector<std::int32_t>& ids) const;
  const TokenFile& file_;
  std::unique_ptr<const SampleOrder> order_;
  std::int64_t context_, rows_;
};

}  // namespace metascale
