#include "experiments/evaluation.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <string_view>

#include "core/hash.hpp"

namespace metascale {
namespace {

constexpr std::string_view reset_words = ", reset at documents";

// Adds one segment of the row whose losses these are.
void add_segment(Evaluation& result, const double* losses, const EvaluationSegment& segment) {
  SegmentRow kept{.window = segment.window,
                  .document = segment.document,
                  .domain = segment.domain,
                  .tokens = segment.tokens,
                  .bytes = segment.bytes};
  for (std::int64_t i = 0; i < segment.tokens; ++i) {
    const std::int64_t position = segment.first + i;
    const double nats = losses[position];
    kept.nats += nats;
    auto& bin = result.positions[std::size_t(std::bit_width(std::uint64_t(position)))];
    bin.tokens += 1;
    bin.nats += nats;
  }
  auto& domain = result.domains[std::size_t(segment.domain)];
  domain.tokens += kept.tokens;
  domain.bytes += kept.bytes;
  domain.nats += kept.nats;
  result.tokens += kept.tokens;
  result.bytes += kept.bytes;
  result.nats += kept.nats;
  result.segments.push_back(kept);
}

// A model that forgets at documents sees other contexts in the same windows: both names say so.
std::string protocol_of(const EvaluationWindows& windows, bool resets) {
  return name_of(windows.protocol()) + std::string(resets ? reset_words : "");
}
std::uint64_t digest_of(const EvaluationWindows& windows, bool resets) {
  const std::uint64_t digest = windows.digest();
  return resets ? xxh3_64(reset_words.data(), reset_words.size(), digest) : digest;
}

}  // namespace

std::vector<PositionRow> position_bins(std::int64_t context) {
  std::vector<PositionRow> bins;
  for (std::int64_t first = 0; first < context; first = std::max<std::int64_t>(1, 2 * first)) {
    const std::int64_t last = first == 0 ? 0 : 2 * first - 1;
    bins.push_back({.first = first, .last = std::min(last, context - 1)});
  }
  return bins;
}

std::optional<Evaluation> evaluate(Program& program, Queue& queue, const EvaluationWindows& windows,
                                   const std::function<bool()>& go_on, Communicator* ranks) {
  const auto start = std::chrono::steady_clock::now();
  const std::int64_t B = program.options().rows, T = program.options().context;
  const std::int64_t R = ranks ? ranks->size() : 1, r = ranks ? ranks->rank() : 0;
  std::vector<double> losses(std::size_t(R * B * T));  // (R, B, T) of the batches of all ranks
  const bool resets = program.options().reset_at_documents;
  Evaluation result{.protocol = protocol_of(windows, resets),
                    .coverage = windows.coverage(),
                    .digest = digest_of(windows, resets),
                    .positions = position_bins(T)};
  for (const auto& name : windows.domains()) result.domains.push_back({.domain = name});
  if (result.domains.empty()) result.domains.push_back({.domain = "all"});

  for (std::int64_t first = 0; first < windows.size(); first += R * B) {
    if (!go_on()) return std::nullopt;
    if (const std::int64_t mine = first + r * B; mine < windows.size()) {
      windows.fill(mine, {.rows = B,
                          .context = T,
                          .tokens = program.tokens(),
                          .targets = program.targets(),
                          .segment_ids = program.first_positions()});
      if (std::int32_t* ids = program.first_positions()) to_first_positions(B, T, ids);
      program.execute(queue);
      for (std::int64_t i = 0; i < B * T; ++i) losses[std::size_t(r * B * T + i)] = program.loss(i);
    }
    if (ranks) {
      ranks->all_gather({.data = losses.data(), .shape = {R * B * T}, .dtype = Dtype::f64});
      ranks->wait();
    }
    for (std::int64_t row = 0; row < std::min(R * B, windows.size() - first); ++row)
      for (const auto& segment : windows.segments_of(first + row))
        add_segment(result, &losses[std::size_t(row * T)], segment);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace metascale
