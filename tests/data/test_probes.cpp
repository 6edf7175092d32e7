// The probes' generators against samples of an independent implementation, and their promises.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "data/probes.hpp"
#include "data/probes/groups.hpp"

using namespace metascale;

namespace {

// The names of the golden file.
const std::map<std::string, ProbeConfig> golden_probes{
    {"S3", {.task = ProbeTask::s3}},
    {"A5", {.task = ProbeTask::a5}},
    {"S5", {.task = ProbeTask::s5}},
    {"A4xZ5", {.task = ProbeTask::a4xz5}},
    {"Z60", {.task = ProbeTask::z60}},
    {"S5swaps", {.task = ProbeTask::s5_swaps}},
    {"parity", {.task = ProbeTask::parity}},
    {"mod5", {.task = ProbeTask::modular_counting, .modulus = 5}},
    {"mod3", {.task = ProbeTask::modular_counting, .modulus = 3}},
    {"mqar_V64_T32_K4", {.task = ProbeTask::mqar, .vocabulary = 64, .pairs = 4}},
    {"mqar_V64_T32_K4_zeros",
     {.task = ProbeTask::mqar, .vocabulary = 64, .pairs = 4, .filler = ProbeFiller::zeros}},
    {"copy26_L12", {.task = ProbeTask::copying, .symbols = 26}},
    {"dyck_8_5", {.task = ProbeTask::dyck, .brackets = 8, .depth = 5}},
    {"dyck_2_3", {.task = ProbeTask::dyck, .brackets = 2, .depth = 3}}};

std::string message_of(const ProbeConfig& config, std::int64_t length) {
  try {
    Probe(config).example(length, 1, 0);
  } catch (const Error& error) {
    CHECK(error.code == ExitCode::usage);
    return error.what();
  }
  return "";
}

// Shares of each answer at each position, over many examples.
using Shares = std::vector<std::map<std::int32_t, double>>;
Shares answer_shares(const Probe& probe, std::int64_t length, int examples) {
  Shares shares(static_cast<std::size_t>(length));
  for (int index = 0; index < examples; ++index) {
    const ProbeExample example = probe.example(length, 5, std::uint64_t(index));
    for (std::size_t t = 0; t < shares.size(); ++t)
      shares[t][example.answers[t]] += 1.0 / double(examples);
  }
  return shares;
}

double largest_of(const std::map<std::int32_t, double>& shares) {
  double largest = 0;
  for (const auto& [answer, share] : shares) largest = std::max(largest, share);
  return largest;
}

// What a guesser gets who always gives the same answer, and one who knows the position alone.
double best_constant(const Shares& shares) {
  std::map<std::int32_t, double> sums;
  for (const auto& position : shares)
    for (const auto& [answer, share] : position) sums[answer] += share / double(shares.size());
  return largest_of(sums);
}
double best_by_position(const Shares& shares) {
  double sum = 0;
  for (const auto& position : shares) sum += largest_of(position) / double(shares.size());
  return sum;
}

// Share of the tokens after which no bracket is open, from the rule of the walk alone: at depth 0
// an end or an opening one, else an opening or a closing one, at the deepest a closing one.
double share_of_ends(std::size_t depth, int length) {
  std::vector<double> at(depth + 1);
  at[0] = 1;
  double sum = 0;
  for (int t = 0; t < length; ++t) {
    std::vector<double> next(depth + 1);
    next[0] = at[0] / 2;
    for (std::size_t d = 0; d < depth; ++d) next[d + 1] += at[d] / 2;
    for (std::size_t d = 1; d <= depth; ++d) next[d - 1] += at[d] / (d == depth ? 1 : 2);
    at = next, sum += at[0];
  }
  return sum / length;
}

// The walk of the arrangements of five by random swaps, from their definition.
Shares swap_shares(int length) {
  using Five = std::array<int, 5>;
  std::map<Five, double> walk{{Five{0, 1, 2, 3, 4}, 1.0}};
  Shares shares;
  for (int t = 0; t < length; ++t) {
    std::map<Five, double> next;
    for (const auto& [arrangement, share] : walk)
      for (std::size_t a = 0; a < 5; ++a)
        for (std::size_t b = a + 1; b < 5; ++b) {
          Five swapped = arrangement;
          std::swap(swapped[a], swapped[b]);
          next[swapped] += share / 10;
        }
    walk = next;
    std::map<std::int32_t, double> position;  // by the arrangement's digits
    for (const auto& [five, share] : walk)
      position[((five[0] * 5 + five[1]) * 5 + five[2]) * 5 + five[3]] = share;
    shares.push_back(position);
  }
  return shares;
}

}  // namespace

TEST_CASE("probe samples equal those of an independent implementation") {
  std::ifstream file(METASCALE_GOLDEN "/probes/probes.jsonl");
  REQUIRE(file.good());
  int samples = 0;
  for (std::string line; std::getline(file, line); ++samples) {
    const auto json = nlohmann::json::parse(line);
    INFO(json.at("probe"));
    const auto tokens = json.at("x").get<std::vector<std::int32_t>>();
    const ProbeExample example =
        Probe(golden_probes.at(json.at("probe")))
            .example(std::int64_t(tokens.size()), json.at("seed").get<std::uint64_t>(),
                     json.at("index").get<std::uint64_t>());
    CHECK(example.tokens == tokens);
    CHECK(example.answers == json.at("y").get<std::vector<std::int32_t>>());
  }
  CHECK(samples == 42);
}

TEST_CASE("an example is a function of seed and index, and of nothing that was asked before") {
  for (const ProbeTask task : probe_tasks()) {
    INFO(name_of(task));
    const Probe probe({.task = task});
    const ProbeExample first = probe.example(64, 7, 3);
    probe.example(32, 8, 4);
    const ProbeExample again = Probe({.task = task}).example(64, 7, 3);
    CHECK(again.tokens == first.tokens);
    CHECK(again.answers == first.answers);
    CHECK(probe.example(64, 7, 4).tokens != first.tokens);
    CHECK(probe.example(64, 8, 3).tokens != first.tokens);
  }
}

TEST_CASE("tokens and answers of a probe and how many are asked are what it says") {
  for (const ProbeTask task : probe_tasks()) {
    INFO(name_of(task));
    const Probe probe({.task = task, .vocabulary = 64, .symbols = 6, .brackets = 3});
    std::map<std::int32_t, int> answers;
    for (std::uint64_t index = 0; index < 200; ++index) {
      const ProbeExample example = probe.example(64, 1, index);
      std::int64_t asked = 0;
      for (std::size_t t = 0; t < 64; ++t) {
        REQUIRE((example.tokens[t] >= 0 && example.tokens[t] < probe.vocabulary()));
        REQUIRE((example.answers[t] >= -1 && example.answers[t] < probe.vocabulary()));
        REQUIRE((example.distances[t] >= 0 && example.distances[t] <= std::int64_t(t)));
        if (example.answers[t] < 0) continue;
        ++asked;
        ++answers[example.answers[t]];
      }
      REQUIRE(asked == probe.scored(64));
    }
    CHECK(std::int64_t(answers.size()) == probe.answers());  // all occur, and no other
  }
}

TEST_CASE("every answer of a group's word problem and of parity is equally frequent everywhere") {
  constexpr int examples = 12000;
  for (const ProbeTask task : {ProbeTask::z60, ProbeTask::a4xz5, ProbeTask::a5, ProbeTask::s3,
                               ProbeTask::s5, ProbeTask::parity}) {
    const Probe probe({.task = task});
    for (const auto& position : answer_shares(probe, 4, examples)) {
      INFO(name_of(task));
      REQUIRE(std::int64_t(position.size()) == probe.answers());
      double squares = 0;  // chi squared, of answers - 1 degrees of freedom
      for (const auto& [answer, share] : position)
        squares += examples * std::pow(share - probe.chance(), 2) / probe.chance();
      const double degrees = double(probe.answers() - 1);
      CHECK(squares < degrees + 6 * std::sqrt(2 * degrees) + 12);
    }
  }
}

TEST_CASE("who always says that no bracket is open answers more of dyck than a uniform guess") {
  const Probe probe({.task = ProbeTask::dyck, .brackets = 8, .depth = 5});
  CHECK(probe.chance() == Approx(1.0 / 9));
  CHECK(share_of_ends(5, 64) == Approx(0.2117).margin(5e-4));
  CHECK(best_constant(answer_shares(probe, 64, 2000)) == Approx(share_of_ends(5, 64)).margin(0.01));
}

TEST_CASE("arrangements after few swaps are no uniform ones, which a blind guess may use") {
  const Probe probe({.task = ProbeTask::s5_swaps});
  CHECK(probe.chance() == Approx(1.0 / 120));
  const Shares truth = swap_shares(16), found = answer_shares(probe, 16, 8000);
  CHECK(best_constant(truth) == Approx(0.0150).margin(5e-4));
  CHECK(best_by_position(truth) == Approx(0.0299).margin(5e-4));
  CHECK(best_constant(found) == Approx(best_constant(truth)).margin(0.003));
  for (const std::size_t t : {0, 1, 2})  // later ones have many answers, whose largest is noise
    CHECK(largest_of(found[t]) == Approx(largest_of(truth[t])).margin(0.015));
}

TEST_CASE(
    "group tables are groups: associative, with a unit, and each row and column all elements") {
  using namespace probes;
  const Group groups[] = {cyclic_group(60), permutation_group(3, Parity::any),
                          permutation_group(5, Parity::even),
                          direct_product(permutation_group(4, Parity::even), cyclic_group(5))};
  for (const Group& group : groups) {
    const std::int64_t G = group.order;
    const auto times = [&](std::int64_t a, std::int64_t b) {
      return std::int64_t(group.products[std::size_t(a * G + b)]);
    };
    bool associative = true;
    for (std::int64_t a = 0; a < G; ++a) {
      // So after any prefix a random element makes every answer equally likely: chance is 1 / G.
      std::vector<bool> in_row(static_cast<std::size_t>(G)), in_column(static_cast<std::size_t>(G));
      for (std::int64_t b = 0; b < G; ++b) {
        in_row[std::size_t(times(a, b))] = true;
        in_column[std::size_t(times(b, a))] = true;
        for (std::int64_t c = 0; c < G; ++c)
          associative &= times(times(a, b), c) == times(a, times(b, c));
      }
      CHECK(std::count(in_row.begin(), in_row.end(), true) == G);
      CHECK(std::count(in_column.begin(), in_column.end(), true) == G);
      CHECK((times(0, a) == a && times(a, 0) == a));  // element 0 is the unit
    }
    CHECK(associative);
  }
}

// A5 is simple, so what is hard about it is not in the controls: they differ in their classes.
TEST_CASE("the groups of order 60 have the class sizes of Z60, A4 x Z5 and A5") {
  using namespace probes;
  const auto class_sizes = [](const Group& group) {
    const std::int64_t G = group.order;
    const auto times = [&](std::int64_t a, std::int64_t b) {
      return std::int64_t(group.products[std::size_t(a * G + b)]);
    };
    std::map<std::vector<std::int64_t>, int> classes;
    for (std::int64_t a = 0; a < G; ++a) {
      std::vector<std::int64_t> conjugates;
      for (std::int64_t g = 0; g < G; ++g)
        for (std::int64_t inverse = 0; inverse < G; ++inverse)
          if (times(g, inverse) == 0) conjugates.push_back(times(times(g, a), inverse));
      std::sort(conjugates.begin(), conjugates.end());
      conjugates.erase(std::unique(conjugates.begin(), conjugates.end()), conjugates.end());
      ++classes[conjugates];
    }
    std::map<std::size_t, int> sizes;
    for (const auto& [members, count] : classes) ++sizes[members.size()];
    return sizes;
  };
  using Sizes = std::map<std::size_t, int>;
  CHECK(class_sizes(cyclic_group(60)) == Sizes{{1, 60}});
  CHECK(class_sizes(permutation_group(5, Parity::even)) ==
        Sizes{{1, 1}, {12, 2}, {15, 1}, {20, 1}});
  CHECK(class_sizes(direct_product(permutation_group(4, Parity::even), cyclic_group(5))) ==
        Sizes{{1, 5}, {3, 5}, {4, 10}});
}

TEST_CASE("a probe refuses lengths and parameters that have no example, and says what has") {
  CHECK_THAT(message_of({.task = ProbeTask::mqar, .pairs = 8}, 24),
             Catch::Contains("8 pairs and a question for each need 32 tokens, not 24"));
  CHECK_THAT(message_of({.task = ProbeTask::mqar, .vocabulary = 16, .pairs = 8}, 64),
             Catch::Contains("write vocabulary: 18 or more"));
  CHECK_THAT(message_of({.task = ProbeTask::copying}, 7), Catch::Contains("not 7; write 8"));
  CHECK_THAT(message_of({.task = ProbeTask::selective_copying}, 31), Catch::Contains("32 tokens"));
  CHECK_THAT(message_of({.task = ProbeTask::needle, .pairs = 4}, 9), Catch::Contains("10 tokens"));
  CHECK_THAT(message_of({.task = ProbeTask::needle, .vocabulary = 16, .pairs = 4}, 64),
             Catch::Contains("write vocabulary: 20 or more"));
  CHECK_THAT(message_of({.task = ProbeTask::s3}, 0), Catch::Contains("at least one token"));
  CHECK_THAT(message_of({.task = ProbeTask::modular_counting, .modulus = 1}, 8),
             Catch::Contains("probe.modulus: 1 is not in 2 .. 1000"));
  CHECK_THAT(message_of({}, 8), Catch::Contains("needs a task"));
}

TEST_CASE("a probe's identity names its task and the parameters of this task alone") {
  CHECK(Probe({.task = ProbeTask::s3, .pairs = 9}).identity() == "task=s3");
  CHECK(Probe({.task = ProbeTask::parity, .modulus = 9}).identity() == "task=parity");
  CHECK(Probe({.task = ProbeTask::modular_counting}).identity() ==
        "task=modular_counting modulus=5");
  CHECK(Probe({.task = ProbeTask::mqar}).identity() ==
        "task=mqar vocabulary=8192 pairs=4 power=0.01 filler=random");
}
