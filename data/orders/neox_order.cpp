#include "data/orders/neox_order.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "core/error.hpp"

namespace metascale {
namespace {

constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();

std::int64_t length_of(const TokenFile& file, std::int64_t sequence) {
  return file.sequence_begin(sequence + 1) - file.sequence_begin(sequence);
}

}  // namespace

std::uint32_t NumpyShuffle::below_or_equal(std::uint32_t most_value) {
  if (most_value == 0) return 0;
  const std::uint32_t mask = std::uint32_t((std::uint64_t(1) << std::bit_width(most_value)) - 1);
  for (;;)
    if (const auto value = std::uint32_t(generator_()) & mask; value <= most_value) return value;
}

void NumpyShuffle::shuffle(std::vector<std::uint32_t>& values) {
  for (std::size_t i = values.size(); i-- > 1;)
    std::swap(values[i], values[below_or_equal(std::uint32_t(i))]);
}

NeoxOrder::NeoxOrder(const TokenFile& file, std::uint64_t seed, std::int64_t context,
                     std::int64_t samples, std::int64_t first, std::int64_t end)
    : file_(file), context_(context) {
  if (end < 0) end = file.sequences();
  if (first < 0 || first > end || end > file.sequences())
    throw Error(concat(file.path().string(), ": the order neox was asked for documents ", first,
                       " to ", end, " of ", file.sequences()),
                ExitCode::bad_input);
  const std::int64_t tokens = file.sequence_begin(end) - file.sequence_begin(first);
  const std::int64_t sequences = end - first;
  if (tokens < 2 || samples < 1)
    throw Error(
        concat(file.path().string(), ": the order neox takes two tokens and one sample, not ",
               tokens, " and ", samples),
        ExitCode::bad_input);
  std::int64_t epochs = 1;
  while ((epochs * tokens - 1) / context < samples) ++epochs;
  const std::int64_t windows = (epochs * tokens - 1) / context;
  if (windows > most || epochs * sequences > most)
    throw Error(concat("the order neox keeps ", windows, " windows and ", epochs * sequences,
                       " documents in memory, more than the ", most,
                       " that GPT-NeoX can number; use permuted"),
                ExitCode::usage);
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch)
    for (std::int64_t sequence = first; sequence < end; ++sequence)
      documents_.push_back(std::uint32_t(sequence));
  NumpyShuffle generator(seed);
  generator.shuffle(documents_);
  cut_windows(windows);
  samples_.resize(std::size_t(windows));
  std::iota(samples_.begin(), samples_.end(), 0u);
  generator.shuffle(samples_);
}

// Each window begins at the last token of the one before.
void NeoxOrder::cut_windows(std::int64_t windows) {
  std::size_t position = 0;
  std::int64_t offset = 0;
  for (std::int64_t window = 0; window < windows; ++window) {
    starts_.push_back({std::uint32_t(position), std::int32_t(offset)});
    std::int64_t left = context_ + 1;
    while (left > length_of(file_, documents_[position]) - offset) {
      left -= length_of(file_, documents_[position]) - offset;
      ++position;
      offset = 0;
    }
    offset += left - 1;
  }
}

void NeoxOrder::runs_of(std::int64_t sample, std::vector<TokenRun>& runs) const {
  runs.clear();
  const Start start = starts_[samples_[std::size_t(sample) % samples_.size()]];
  std::int64_t left = context_ + 1, offset = start.offset;
  for (std::size_t position = start.position; left > 0; ++position, offset = 0) {
    const std::int64_t document = documents_[position];
    const std::int64_t count = std::min(left, length_of(file_, document) - offset);
    if (count > 0) runs.push_back({file_.sequence_begin(document) + offset, count});
    left -= count;
  }
}

std::vector<DrawnDomain> NeoxOrder::drawn(std::int64_t samples) const {
  const std::int64_t pass = std::max<std::int64_t>(1, (file_.tokens() - 1) / context_);
  return {{.domain = "all", .samples = samples, .pass = pass}};
}

}  // namespace metascale
