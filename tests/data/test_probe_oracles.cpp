// Every probe against a second definition that reads the tokens alone: it must answer all of them.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <numeric>

#include "data/probes.hpp"

using namespace metascale;

namespace {

using Ids = std::vector<std::int32_t>;
// Answers from the tokens up to and with the last.
using Oracle = std::function<std::int32_t(const Ids&)>;

// All maps of n places onto themselves, in lexicographic order, by counting in base n.
std::vector<Ids> bijections(std::int32_t n, bool even_only) {
  std::vector<Ids> found;
  Ids digits(std::size_t(n), 0);
  for (;;) {
    Ids sorted = digits;
    std::sort(sorted.begin(), sorted.end());
    const bool is_bijection = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
    std::int32_t cycles = 0;
    if (is_bijection) {
      Ids seen(std::size_t(n), 0);
      for (std::int32_t i = 0; i < n; ++i)
        for (std::int32_t at = i; !seen[std::size_t(at)]; at = digits[std::size_t(at)]) {
          cycles += at == i ? 1 : 0;
          seen[std::size_t(at)] = 1;
        }
      if (!even_only || (n - cycles) % 2 == 0) found.push_back(digits);
    }
    std::size_t place = digits.size();
    while (place > 0 && digits[place - 1] == n - 1) digits[--place] = 0;
    if (place == 0) return found;
    ++digits[place - 1];
  }
}

std::int32_t index_in(const std::vector<Ids>& elements, const Ids& element) {
  return std::int32_t(std::find(elements.begin(), elements.end(), element) - elements.begin());
}

// The product of permutations, applied to each place from the right.
Oracle composing(const std::vector<Ids>& elements) {
  return [elements](const Ids& tokens) {
    Ids result(elements.front().size());
    for (std::size_t i = 0; i < result.size(); ++i) {
      std::int32_t place = std::int32_t(i);
      for (auto token = tokens.rbegin(); token != tokens.rend(); ++token)
        place = elements[std::size_t(*token)][std::size_t(place)];
      result[i] = place;
    }
    return index_in(elements, result);
  };
}

std::int32_t swapped(const Ids& tokens) {
  static const std::vector<Ids> arrangements = bijections(5, false);
  Ids state{0, 1, 2, 3, 4};
  for (const std::int32_t token : tokens) {
    std::int32_t left = 0, first = 0;
    while (token >= first + 4 - left) first += 4 - left++;
    std::swap(state[std::size_t(left)], state[std::size_t(left + 1 + token - first)]);
  }
  return index_in(arrangements, state);
}

// Reduces by cancelling neighbours until nothing changes; the last open bracket is the answer.
std::int32_t unmatched(Ids tokens, std::int32_t k) {
  for (std::size_t i = 0; i + 1 < tokens.size();)
    if (tokens[i] < k && tokens[i + 1] == tokens[i] + k) {
      tokens.erase(tokens.begin() + std::ptrdiff_t(i), tokens.begin() + std::ptrdiff_t(i) + 2);
      i = 0;
    } else {
      ++i;
    }
  return tokens.empty() || tokens.back() == 2 * k ? 2 * k : tokens.back() + k;
}

std::int32_t after_first(const Ids& tokens, std::int32_t key) {
  return *(std::find(tokens.begin(), tokens.end(), key) + 1);
}

Oracle oracle_of(ProbeTask task) {
  switch (task) {
    case ProbeTask::s3: return composing(bijections(3, false));
    case ProbeTask::s5: return composing(bijections(5, false));
    case ProbeTask::a5: return composing(bijections(5, true));
    case ProbeTask::a4xz5:
      return [a4 = composing(bijections(4, true))](const Ids& tokens) {
        Ids left(tokens.size());
        std::transform(tokens.begin(), tokens.end(), left.begin(), [](auto t) { return t / 5; });
        const std::int32_t right = std::accumulate(tokens.begin(), tokens.end(), 0,
                                                   [](auto sum, auto t) { return sum + t % 5; });
        return a4(left) * 5 + right % 5;
      };
    case ProbeTask::z60:
      return
          [](const Ids& tokens) { return std::accumulate(tokens.begin(), tokens.end(), 0) % 60; };
    case ProbeTask::s5_swaps: return swapped;
    case ProbeTask::parity:
      return [](const Ids& t) { return std::int32_t(std::count(t.begin(), t.end(), 1) % 2); };
    case ProbeTask::modular_counting:
      return [](const Ids& t) {
        const auto ups = std::count(t.begin(), t.end(), 1),
                   downs = std::count(t.begin(), t.end(), 2);
        return std::int32_t(((ups - downs) % 5 + 5) % 5);
      };
    case ProbeTask::mqar:
    case ProbeTask::needle: return [](const Ids& t) { return after_first(t, t.back()); };
    case ProbeTask::copying:
      return [](const Ids& t) {
        const auto separator = std::find(t.begin(), t.end(), 26);
        return t[std::size_t(t.end() - separator - 1)];
      };
    case ProbeTask::selective_copying:
      return [](const Ids& t) {
        Ids symbols;
        std::copy_if(t.begin(), t.end(), std::back_inserter(symbols),
                     [](auto id) { return id < 26; });
        return symbols[std::size_t(std::count(t.begin(), t.end(), 27) - 1)];
      };
    case ProbeTask::dyck: return [](const Ids& t) { return unmatched(t, 8); };
    case ProbeTask::none: break;
  }
  return {};
}

}  // namespace

TEST_CASE("an oracle that reads the tokens alone answers every probe without a mistake") {
  for (const ProbeTask task : probe_tasks()) {
    INFO(name_of(task));
    const Oracle oracle = oracle_of(task);
    const Probe probe({.task = task, .vocabulary = 64});
    std::int64_t asked = 0, right = 0;
    for (std::uint64_t index = 0; index < 10; ++index) {
      const ProbeExample example = probe.example(40, 5, index);
      for (std::size_t t = 0; t < 40; ++t) {
        if (example.answers[t] < 0) continue;
        ++asked;
        right += oracle(Ids(example.tokens.begin(),
                            example.tokens.begin() + std::ptrdiff_t(t) + 1)) == example.answers[t];
      }
    }
    CHECK(asked == 10 * probe.scored(40));
    CHECK(right == asked);
  }
}

TEST_CASE("a distance leads to the token that the answer needs") {
  const auto each_answer = [](const ProbeConfig& config, auto&& check) {
    for (std::uint64_t index = 0; index < 20; ++index) {
      const ProbeExample e = Probe(config).example(64, 2, index);
      for (std::size_t t = 0; t < 64; ++t)
        if (e.answers[t] >= 0) check(e, t, t - std::size_t(e.distances[t]));
    }
  };
  for (const ProbeTask task : {ProbeTask::mqar, ProbeTask::needle})
    each_answer({.task = task}, [](const auto& e, auto t, auto evidence) {
      CHECK(e.tokens[evidence] == e.tokens[t]);
      CHECK(e.tokens[evidence + 1] == e.answers[t]);
    });
  for (const ProbeTask task : {ProbeTask::copying, ProbeTask::selective_copying})
    each_answer({.task = task}, [](const auto& e, auto t, auto evidence) {
      CHECK(e.tokens[evidence] == e.answers[t]);
    });
  each_answer({.task = ProbeTask::dyck}, [](const auto& e, auto t, auto evidence) {
    if (e.answers[t] < 16) CHECK(e.tokens[evidence] + 8 == e.answers[t]);
  });
  each_answer({.task = ProbeTask::parity},
              [](const auto&, auto, auto evidence) { CHECK(evidence == 0); });
}

TEST_CASE("brackets never nest deeper than they may, and all depths occur") {
  const Probe probe({.task = ProbeTask::dyck, .brackets = 2, .depth = 3});
  std::int64_t depth = 0, deepest = 0;
  for (const std::int32_t token : probe.example(500, 3, 0).tokens) {
    depth += token < 2 ? 1 : token < 4 ? -1 : 0;
    REQUIRE((depth >= 0 && depth <= 3));
    if (token == 4) REQUIRE(depth == 0);
    deepest = std::max(deepest, depth);
  }
  CHECK(deepest == 3);
}
