#include "data/batches.hpp"

#include <algorithm>
#include <utility>

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

void to_first_positions(std::int64_t rows, std::int64_t context, std::int32_t* segment_ids) {
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int32_t* ids = segment_ids + row * context;
    std::int32_t segment = ids[0], first = 0;
    for (std::int64_t position = 0; position < context; ++position) {
      if (ids[position] != segment) {
        segment = ids[position];
        first = std::int32_t(position);
      }
      ids[position] = first;
    }
  }
}

Batches::Batches(const TokenFile& file, std::unique_ptr<const SampleOrder> order,
                 std::int64_t context, std::int64_t rows)
    : file_(file), order_(std::move(order)), context_(context), rows_(rows) {
  if (context < 1 || rows < 1)
    throw Error(concat("a batch needs at least one row of one token, not ", rows, " of ", context));
}

Batches::Batches(const TokenFile& file, const Order& order, std::int64_t context, std::int64_t rows)
    : Batches(file, make_window_order(file, order, context), context, rows) {}

void Batches::read_row(std::int64_t sample, std::vector<std::int32_t>& ids) const {
  std::vector<TokenRun> runs;
  order_->runs_of(sample, runs);
  ids.resize(std::size_t(context_) + 1);
  std::int64_t at = 0;
  for (const TokenRun& run : runs) {
    file_.read(run.first, run.tokens, ids.data() + at);
    at += run.tokens;
  }
  if (at != context_ + 1)
    throw Error(concat("sample ", sample, " has ", at, " tokens, not ", context_ + 1));
}

void Batches::fill_one_row(std::int64_t sample, const Batch& batch, std::int64_t row) const {
  std::vector<std::int32_t> ids;
  read_row(sample, ids);
  const std::int64_t begin = row * context_;
  if (batch.tokens) std::copy_n(ids.begin(), context_, batch.tokens + begin);
  if (batch.targets) std::copy_n(ids.begin() + 1, context_, batch.targets + begin);
  if (batch.weights) std::fill_n(batch.weights + begin, context_, 1.0f);
  if (!batch.segment_ids) return;
  std::vector<TokenRun> runs;
  order_->runs_of(sample, runs);
  std::int64_t position = 0;
  std::int32_t segment = 0;
  for (const TokenRun& run : runs) {  // documents do not go on from one run to the next
    for (std::int64_t token = run.first; token < run.first + run.tokens && position < context_;) {
      const std::int64_t end = file_.document_begin(file_.document_of(token) + 1);
      for (; token < std::min(end, run.first + run.tokens) && position < context_; ++token)
        batch.segment_ids[begin + position++] = segment;
      ++segment;
    }
  }
}

void Batches::fill(std::int64_t step, std::int64_t first_row, const Batch& batch) const {
  if (step < 0 || first_row < 0 || batch.rows < 0 || first_row + batch.rows > rows_)
    throw Error(concat("rows ", first_row, " to ", first_row + batch.rows, " of step ", step,
                       " were asked for, but a step has rows 0 to ", rows_));
  if (batch.context != context_)
    throw Error(concat("memory for context ", batch.context, " was given to a batch of context ",
                       context_));
  for (std::int64_t row = 0; row < batch.rows; ++row)
    fill_one_row(step * rows_ + first_row + row, batch, row);
}

std::uint64_t Batches::digest(std::uint64_t before, std::int64_t step) const {
  constexpr std::size_t chunk = 1024;
  std::vector<std::int32_t> ids;
  for (std::int64_t row = 0; row < rows_; ++row) {
    read_row(step * rows_ + row, ids);
    for (std::size_t at = 0; at < ids.size(); at += chunk)
      before =
          xxh3_64(ids.data() + at, std::min(chunk, ids.size() - at) * sizeof(std::int32_t), before);
  }
  return before;
}

double Batches::epochs(std::int64_t steps) const {
  double samples = 0, pass = 0;
  for (const DrawnDomain& row : drawn(steps)) {
    samples += double(row.samples);
    pass += double(row.pass);
  }
  return samples / pass;
}

}  // namespace metascale
