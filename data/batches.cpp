#include "data/batches.hpp"

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "core/hash.hpp"

namespace metascale {
namespace {

struct Row {
  std::int64_t first;  // token of the stream
  std::int64_t valid;  // positions whose target lies in the file
};

void fill_ids(const TokenFile& file, const Row& row, std::int64_t shift, std::int32_t padding,
              std::int64_t context, std::int32_t* out) {
  const std::int64_t count =
      std::clamp<std::int64_t>(file.tokens() - row.first - shift, 0, context);
  file.read(row.first + shift, count, out);
  std::fill(out + count, out + context, padding);
}

void fill_segment_ids(const TokenFile& file, const Row& row, std::int64_t context,
                      std::int32_t* out) {
  const std::int64_t count = std::clamp<std::int64_t>(file.tokens() - row.first, 0, context);
  std::int32_t segment = 0;
  std::int64_t position = 0;
  if (count > 0) {
    std::int64_t document = file.document_of(row.first);
    while (position < count) {
      const std::int64_t end = std::min(file.document_begin(document + 1) - row.first, count);
      if (position < end) {  // documents without tokens have no segment
        std::fill(out + position, out + end, segment++);
        position = end;
      }
      ++document;
    }
  }
  std::fill(out + count, out + context, segment);
}

}  // namespace

void fill_row(const TokenFile& file, std::int64_t first, std::int32_t padding, const Batch& batch,
              std::int64_t row) {
  const std::int64_t context = batch.context, begin = row * context;
  const Row source{first, std::clamp<std::int64_t>(file.tokens() - 1 - first, 0, context)};
  if (batch.tokens) fill_ids(file, source, 0, padding, context, batch.tokens + begin);
  if (batch.targets) fill_ids(file, source, 1, padding, context, batch.targets + begin);
  if (batch.weights) {
    std::fill_n(batch.weights + begin, source.valid, 1.0f);
    std::fill_n(batch.weights + begin + source.valid, context - source.valid, 0.0f);
  }
  if (batch.segment_ids) fill_segment_ids(file, source, context, batch.segment_ids + begin);
}

Batches::Batches(const TokenFile& file, const Order& order, std::int64_t context, std::int64_t rows)
    : file_(file), order_(order), context_(context), rows_(rows) {
  if (context < 1 || rows < 1)
    throw Error(concat("a batch needs at least one row of one token, not ", rows, " of ", context));
  if (order.windows < 1 || order.windows > window_count(file.tokens(), context))
    throw Error(concat(file.path().string(), " has ", window_count(file.tokens(), context),
                       " windows of context ", context, ", but the data order was made for ",
                       order.windows, "; make the order for this file and context"));
}

std::int64_t Batches::first_token(std::int64_t step, std::int64_t row) const {
  return order_.window(step * rows_ + row) * context_;
}

void Batches::fill(std::int64_t step, std::int64_t first_row, const Batch& batch) const {
  if (step < 0 || first_row < 0 || batch.rows < 0 || first_row + batch.rows > rows_)
    throw Error(concat("rows ", first_row, " to ", first_row + batch.rows, " of step ", step,
                       " were asked for, but a step has rows 0 to ", rows_));
  if (batch.context != context_)
    throw Error(concat("memory for context ", batch.context, " was given to a batch of context ",
                       context_));
  for (std::int64_t row = 0; row < batch.rows; ++row)
    fill_row(file_, first_token(step, first_row + row), 0, batch, row);
}

std::uint64_t Batches::digest(std::uint64_t before, std::int64_t step) const {
  std::array<std::int32_t, 1024> ids;
  for (std::int64_t row = 0; row < rows_; ++row) {
    const std::int64_t first = first_token(step, row), end = first + context_ + 1;
    for (std::int64_t token = first; token < end; token += std::int64_t(ids.size())) {
      const std::int64_t count = std::min(end - token, std::int64_t(ids.size()));
      file_.read(token, count, ids.data());
      before = xxh3_64(ids.data(), std::size_t(count) * sizeof(std::int32_t), before);
    }
  }
  return before;
}

double Batches::epochs(std::int64_t steps) const {
  return double(steps) * double(rows_) / double(order_.windows);
}

}  // namespace metascale
