// Grown runs of a sweep, and the from-scratch runs that they are compared with.
#include "experiments/lineage.hpp"
#include "tests/sweeps/definitions.hpp"

namespace metascale {
namespace {

// A chain: 200k -> middle -> large, each with its partners.
const std::string chain = R"(
  - {arm: meta_state, size: derived, name: middle, from: {arm: meta_state, size: 200k, length: 100k tokens, seed: 1},
     grow: {parameter_tokens: 2x}, length: 50k tokens, scratch: [total, added]}
  - {arm: meta_state, size: derived, name: large, from: {arm: meta_state, size: middle, length: 50k tokens, seed: 1},
     grow: {heads: 2x, layers: 4}, length: 1xC, scratch: [total], training: {learning_rate: 2e-3, new_learning_rate: 2}}
)";

Resolution resolved() {
  return resolve(parse_definition(small_sweep + ("include:" + chain), "sweep.yaml"));
}

double total_flops(const RunConfig& run) {
  return lineage_flops(run, double(run.training.steps) * double(run.training.batch_tokens));
}

const PlannedRun& run_of(const Resolution& resolution, const std::string& size,
                         const std::string& length) {
  for (const PlannedRun& run : resolution.runs)
    if (run.config.size == size && run.config.length == length) return run;
  FAIL("no run " + size + " " + length);
  throw 0;
}

TEST_CASE(
    "resolve: a grown run follows its parent, with its id in its own, and trains what it adds") {
  const Resolution resolution = resolved();
  const PlannedRun &parent = resolution.runs[1],
                   &middle = run_of(resolution, "middle", "50ktokens");
  CHECK(middle.config.parent.run == parent.config.id);
  CHECK(middle.config.parent.step == parent.config.training.steps);
  CHECK(middle.config.training.steps == 49 + 24);
  CHECK(middle.config.training.schedule.first_step == 49);
  CHECK(middle.tokens == 24 * 2048);
  CHECK(middle.config.model.feed_forward == 2 * parent.config.model.feed_forward);
  CHECK(middle.config.training.optimizer.learning_rate ==
        parent.config.training.optimizer.learning_rate);
  CHECK(middle.config.data.order_seed == parent.config.data.order_seed);
  CHECK(run_id(middle.config) == middle.config.id);
  RunConfig other = middle.config;
  other.parent.run = "another";
  CHECK(run_id(other) != middle.config.id);
}

TEST_CASE("resolve: growth upon growth carries the whole lineage") {
  const Resolution resolution = resolved();
  const PlannedRun& middle = run_of(resolution, "middle", "50ktokens");
  const PlannedRun& large = run_of(resolution, "large", "1xC");
  REQUIRE(large.config.lineage.size() == 2);
  CHECK(large.config.lineage[1].run == middle.config.id);
  CHECK(large.config.lineage[1].insert_after == std::vector<std::int64_t>{2});
  CHECK(large.config.model.layers == 4);
  CHECK(large.config.training.optimizer.learning_rate == 2e-3);
  CHECK(large.config.training.optimizer.new_learning_rate == 2);
  const double own_tokens = 20 * double(large.counts.non_embedding_parameters);
  CHECK(large.tokens == Approx(own_tokens).margin(1024));
  CHECK(total_flops(large.config) == Approx(resolution.runs[1].flops + middle.flops + large.flops));
}

TEST_CASE(
    "resolve: from-scratch partners have the grown shape, and the compute that they are named "
    "for") {
  const Resolution resolution = resolved();
  const PlannedRun& grown = run_of(resolution, "middle", "50ktokens");
  const PlannedRun& total = run_of(resolution, "middle", "50ktokens.total");
  const PlannedRun& added = run_of(resolution, "middle", "50ktokens.added");
  for (const PlannedRun* partner : {&total, &added}) {
    CHECK(partner->config.model == grown.config.model);
    CHECK(partner->config.lineage.empty());
    CHECK(partner->config.parent.run.empty());
    CHECK(partner->config.training.schedule.first_step == 0);
    CHECK(partner->config.match.at("scratch_partner_of") == grown.config.id);
  }
  const double step = grown.counts.flops_per_token * 2048;
  CHECK(total.flops == Approx(total_flops(grown.config)).margin(step));
  CHECK(added.tokens == grown.tokens);
  CHECK(added.flops == grown.flops);
  CHECK(total.config.match.at("match_on") == "training_flops");
}

TEST_CASE("resolve: a growth whose partner has no whole batches is told a length that has them") {
  const std::string include = R"(include:
  - {arm: meta_state, size: derived, name: middle, grow: {parameter_tokens: 2x}, scratch: [total],
     from: {arm: meta_state, size: 200k, length: 8192 tokens, seed: 1}, length: )";
  const auto refusal = [&](const std::string& length) {
    return refusal_of([&] {
      resolve(parse_definition(small_sweep + include + length + "}\n", "sweep.yaml",
                               {"axes.length=[8192 tokens]"}));
    });
  };
  const std::string words = refusal("4096 tokens");
  CHECK_THAT(words, Catch::Contains("scratch: total: the compute of the whole lineage is"));
  const std::string before = "lengthen the growth from 4096 to ";
  const std::size_t place = words.find(before);
  REQUIRE(place != std::string::npos);
  CHECK(refusal(words.substr(place + before.size(),
                             words.find(',', place) - place - before.size())) == "accepted");
}

TEST_CASE("resolve: a run that is not grown keeps the id that it had") {
  const Resolution with = resolved(), without = small_resolution();
  CHECK(with.runs[0].config.id == without.runs[0].config.id);
  CHECK(with.runs[1].config.id == without.runs[1].config.id);
}

}  // namespace
}  // namespace metascale
