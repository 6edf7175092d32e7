// The probes' generators against samples of an independent implementation, and their promises.
#include <algorithm>
#include <catch2/catch.hpp>
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
    CHECK(probe.chance() * double(probe.answers()) == Approx(1));
  }
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
