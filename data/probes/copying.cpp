// Tasks that ask for earlier tokens again, in their order.
#include <fmt/format.h>

#include <algorithm>

#include "data/probes/tasks.hpp"

namespace metascale::probes {
namespace {

// ---- copying: x1 .. xL, a separator, x1 .. [Jelassi et al. 2024]. Ids: symbols 0 .. A - 1, the
// separator A. T = 2 L.

void make_copy(const Task& task, Random& random, Draft& draft) {
  const std::int64_t A = task.config.symbols, L = task.length / 2;
  for (std::int64_t i = 0; i < L; ++i) draft.token(i) = std::int32_t(random.below(A));
  draft.token(L) = std::int32_t(A);
  for (std::int64_t i = 0; i < L; ++i) {
    if (i > 0) draft.token(L + i) = draft.token(i - 1);
    draft.ask(L + i, draft.token(i), i);
  }
}

std::string copy_problem(const ProbeConfig&, std::int64_t length) {
  if (length >= 2 && length % 2 == 0) return "";
  return fmt::format("a text and its copy have an even number of tokens, not {}; write {}", length,
                     length + length % 2);
}

// ---- selective_copying: M symbols among blanks, then M marks, each answered by the next symbol
// [Gu and Dao 2023]. Ids: symbols 0 .. A - 1, the blank A, the mark A + 1.

void make_selective(const Task& task, Random& random, Draft& draft) {
  const std::int64_t A = task.config.symbols, M = task.config.items, T = task.length;
  auto places = random.choose(0, T - M, M);
  std::sort(places.begin(), places.end());
  for (std::int64_t t = 0; t < T; ++t) draft.token(t) = std::int32_t(t < T - M ? A : A + 1);
  for (std::int64_t i = 0; i < M; ++i) {
    const std::int64_t place = places[std::size_t(i)];
    draft.token(place) = std::int32_t(random.below(A));
    draft.ask(T - M + i, draft.token(place), place);
  }
}

std::string selective_problem(const ProbeConfig& config, std::int64_t length) {
  if (length >= 2 * config.items) return "";
  return fmt::format(
      "{} symbols and their copies need {} tokens, not {}; lengthen it, or lower items",
      config.items, 2 * config.items, length);
}

std::int64_t symbols_of(const ProbeConfig& config) { return config.symbols; }

}  // namespace

const Kind plain_copying{
    .vocabulary = [](const ProbeConfig& config) { return config.symbols + 1; },
    .answers = symbols_of,
    .scored = [](const ProbeConfig&, std::int64_t length) { return length / 2; },
    .problem = copy_problem,
    .make = make_copy,
    .parameters = " symbols "};
const Kind selective_copying{
    .vocabulary = [](const ProbeConfig& config) { return config.symbols + 2; },
    .answers = symbols_of,
    .scored = [](const ProbeConfig& config, std::int64_t) { return config.items; },
    .problem = selective_problem,
    .make = make_selective,
    .parameters = " symbols items "};

}  // namespace metascale::probes
