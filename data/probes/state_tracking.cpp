// Tasks that ask for the state of a finite automaton after every token.

#include "data/probes/groups.hpp"
#include "data/probes/tasks.hpp"

namespace metascale::probes {
namespace {

constexpr std::int64_t swapped_items = 5;  // of s5_swaps

std::int64_t every_position(const ProbeConfig&, std::int64_t length) { return length; }
std::string any_length(const ProbeConfig&, std::int64_t) { return ""; }

std::int64_t group_order(const ProbeConfig& config) {
  switch (config.task) {
    case ProbeTask::s3: return 6;
    case ProbeTask::s5: return 120;
    default: return 60;  // z60, a4xz5, a5
  }
}

// Tokens are elements, drawn uniformly; the answer is their product so far [Merrill et al. 2024].
void make_word(const Task& task, Random& random, Draft& draft) {
  const std::int64_t G = group_order(task.config);
  std::int64_t product = 0;
  for (std::int64_t t = 0; t < task.length; ++t) {
    const std::int64_t element = random.below(G);
    product = t == 0 ? element : task.products[std::size_t(product * G + element)];
    draft.token(t) = std::int32_t(element);
    draft.ask(t, product, 0);
  }
}

// The number of a permutation among all of its length, in lexicographic order.
std::int64_t lexicographic_number(const Permutation& p) {
  std::int64_t number = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    std::int64_t smaller = 0;
    for (std::size_t j = i + 1; j < p.size(); ++j) smaller += p[j] < p[i] ? 1 : 0;
    number = number * std::int64_t(p.size() - i) + smaller;
  }
  return number;
}

// Tokens are the ten swaps of two places, in lexicographic order; the answer is the arrangement.
void make_swaps(const Task& task, Random& random, Draft& draft) {
  std::vector<std::pair<std::size_t, std::size_t>> swaps;
  for (std::size_t a = 0; a < swapped_items; ++a)
    for (std::size_t b = a + 1; b < swapped_items; ++b) swaps.emplace_back(a, b);
  Permutation state = permutations(swapped_items, Parity::any).front();
  for (std::int64_t t = 0; t < task.length; ++t) {
    const std::int64_t which = random.below(std::int64_t(swaps.size()));
    const auto [a, b] = swaps[std::size_t(which)];
    std::swap(state[a], state[b]);
    draft.token(t) = std::int32_t(which);
    draft.ask(t, lexicographic_number(state), 0);
  }
}

std::int64_t modulus_of(const ProbeConfig& config) {
  return config.task == ProbeTask::parity ? 2 : config.modulus;
}

// Moves on a cycle: stay, one up, one down; two places know only the first two [Deletang et al.
// 2023, cycle navigation].
std::int64_t moves_of(const ProbeConfig& config) { return modulus_of(config) == 2 ? 2 : 3; }

void make_counting(const Task& task, Random& random, Draft& draft) {
  const std::int64_t modulus = modulus_of(task.config), moves = moves_of(task.config);
  const std::int64_t steps[] = {0, 1, modulus - 1};
  std::int64_t place = 0;
  for (std::int64_t t = 0; t < task.length; ++t) {
    const std::int64_t move = random.below(moves);
    place = (place + steps[move]) % modulus;
    draft.token(t) = std::int32_t(move);
    draft.ask(t, place, 0);
  }
}

}  // namespace

const Kind word_problem{.vocabulary = group_order,
                        .answers = group_order,
                        .scored = every_position,
                        .problem = any_length,
                        .make = make_word,
                        .parameters = ""};
const Kind transpositions{.vocabulary = [](const ProbeConfig&) { return std::int64_t(120); },
                          .answers = [](const ProbeConfig&) { return std::int64_t(120); },
                          .scored = every_position,
                          .problem = any_length,
                          .make = make_swaps,
                          .parameters = ""};
const Kind counting{
    .vocabulary =
        [](const ProbeConfig& config) { return std::max(modulus_of(config), moves_of(config)); },
    .answers = modulus_of,
    .scored = every_position,
    .problem = any_length,
    .make = make_counting,
    .parameters = " modulus "};

}  // namespace metascale::probes
