// dyck: well-nested brackets of k kinds, at most m deep [Hewitt et al. 2020]. Ids: opening 0 .. k -
// 1, closing k .. 2k - 1, the end of a word 2k. The answer is the bracket that could close now, 2k
// where none is open: one right answer everywhere, no chance in it.
#include "data/probes/tasks.hpp"

namespace metascale::probes {
namespace {

struct Open {
  std::int64_t kind, place;
};

bool closes(std::size_t open, std::int64_t depth, Random& random) {
  return open == std::size_t(depth) || random.below(2) == 1;
}

void make_brackets(const Task& task, Random& random, Draft& draft) {
  const std::int64_t k = task.config.brackets;
  std::vector<Open> open;
  for (std::int64_t t = 0; t < task.length; ++t) {
    std::int64_t evidence = t;
    if (open.empty() && random.below(2) == 1) {
      draft.token(t) = std::int32_t(2 * k);
    } else if (!open.empty() && closes(open.size(), task.config.depth, random)) {
      draft.token(t) = std::int32_t(k + open.back().kind);
      evidence = open.back().place;  // that the word is over takes all of it
      open.pop_back();
    } else {
      open.push_back({random.below(k), t});
      draft.token(t) = std::int32_t(open.back().kind);
    }
    if (open.empty())
      draft.ask(t, 2 * k, evidence);
    else
      draft.ask(t, k + open.back().kind, open.back().place);
  }
}

}  // namespace

const Kind nested_brackets{
    .vocabulary = [](const ProbeConfig& config) { return 2 * config.brackets + 1; },
    .answers = [](const ProbeConfig& config) { return config.brackets + 1; },
    .scored = [](const ProbeConfig&, std::int64_t length) { return length; },
    .problem = [](const ProbeConfig&, std::int64_t) { return std::string(); },
    .make = make_brackets,
    .parameters = " brackets depth "};

}  // namespace metascale::probes
