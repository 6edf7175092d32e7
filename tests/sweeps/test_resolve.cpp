#include <ctime>
#include <set>

#include "tests/sweeps/definitions.hpp"

using namespace metascale;

namespace {

std::set<std::string> ids_of(const Resolution& resolution) {
  std::set<std::string> ids;
  for (const PlannedRun& run : resolution.runs) ids.insert(run.config.id);
  return ids;
}
const std::vector<std::string> two_by_two{"axes.length=[100k tokens, 200k tokens]",
                                          "axes.seed=[1, 2]"};

std::vector<std::string> with(std::vector<std::string> overrides, const std::string& more) {
  overrides.push_back(more);
  return overrides;
}

}  // namespace

TEST_CASE("resolve: the product of arms and axes, arms of one cell side by side") {
  const Resolution resolution = small_resolution(two_by_two);
  REQUIRE(resolution.runs.size() == 8);
  CHECK(resolution.runs[0].config.arm == "rwkv7");
  CHECK(resolution.runs[1].config.arm == "meta_state");
  CHECK(resolution.runs[1].config.seed == 1);
  CHECK(resolution.runs[2].config.seed == 2);
  CHECK(resolution.runs[4].config.length == "200ktokens");
}

TEST_CASE("resolve: arms of a cell share length, batch and data, and their models match") {
  const Resolution resolution = small_resolution();
  const RunConfig &a = resolution.runs[0].config, &b = resolution.runs[1].config;
  CHECK(a.training.steps == 49);  // 100,000 / 2,048, rounded
  CHECK(a.training.steps == b.training.steps);
  CHECK(a.training.batch_tokens == b.training.batch_tokens);
  CHECK(a.data.order_seed == b.data.order_seed);
  CHECK(a.model.feed_forward == b.model.feed_forward);
  REQUIRE(resolution.pairs.size() == 1);
  CHECK(resolution.pairs[0].second_value - resolution.pairs[0].first_value == 3 * 64);
  CHECK(resolution.pairs[0].mismatch == Approx(192 / 200e3));
}

TEST_CASE("resolve: xC counts 20 tokens per non-embedding parameter of the baseline") {
  const Resolution resolution = small_resolution({"axes.length=[2xC]"});
  const double tokens = 2 * 20 * double(resolution.runs[0].counts.non_embedding_parameters);
  for (const PlannedRun& run : resolution.runs) {
    CHECK(run.config.training.steps == std::llround(tokens / 2048));
    CHECK(run.tokens == double(run.config.training.steps) * 2048);
  }
}

TEST_CASE("resolve: a length in FLOPs is the baseline's, shared by all arms") {
  const Resolution resolution = small_resolution({"axes.length=[1e13 flop]"});
  const PlannedRun& baseline = resolution.runs[0];
  CHECK(baseline.flops == Approx(1e13).epsilon(0.01));
  CHECK(resolution.runs[1].config.training.steps == baseline.config.training.steps);
  CHECK(resolution.runs[1].flops > baseline.flops);
}

TEST_CASE("resolve: batch_tokens are rounded to whole windows, but only a little") {
  CHECK(small_resolution({"training.batch_tokens=100k"}).runs[0].config.training.batch_tokens ==
        99968);
  CHECK(refusal_of([] { small_resolution({"training.batch_tokens=200"}); }) ==
        "--set training.batch_tokens=200:1: training.batch_tokens: 200 tokens are no whole number "
        "of windows "
        "of 128; write 256");
}

TEST_CASE("resolve: exclude removes the runs that agree with every key") {
  const auto ids =
      ids_of(small_resolution(with(two_by_two, "exclude=[{length: 200k tokens, seed: [2]}]")));
  CHECK(ids.size() == 6);
  for (const std::string& id : ids) CHECK(id.find("200ktokens-s2") == std::string::npos);
  CHECK(refusal_of([] { small_resolution({"exclude=[{arm: [rwkv7, meta_state]}]"}); }) ==
        "sweep.yaml:1: every run is excluded; remove an entry of exclude");
}

TEST_CASE("resolve: include adds a run, also at a size, length and seed of its own") {
  const Resolution resolution =
      small_resolution({"include=[{arm: meta_state, size: {name: 300k, layers: 3, width: 96, "
                        "head_size: 32, target: 300k}, "
                        "length: 50k tokens, seed: 7, training: {learning_rate: 1e-3}}]"});
  REQUIRE(resolution.runs.size() == 3);
  const RunConfig& added = resolution.runs[2].config;
  CHECK(added.size == "300k");
  CHECK(added.seed == 7);
  CHECK(added.training.optimizer.learning_rate == 1e-3);
  CHECK(resolution.pairs.size() == 2);  // also the new size is matched
}

TEST_CASE("resolve: a run that is there twice is refused") {
  CHECK_THAT(
      refusal_of([] {
        small_resolution({"include=[{arm: rwkv7, size: 200k, length: 100k tokens, seed: 1}]"});
      }),
      Catch::Contains("is there twice"));
}

TEST_CASE("resolve: zipped axes run together") {
  std::string text = small_sweep;
  text.replace(text.find("  length: [100k tokens]\n  seed: [1]\n"), 36,
               "zip: [{length: [100k tokens, 200k tokens], seed: [5, 6]}]\n");
  const Resolution resolution = resolve(parse_definition(text, "sweep.yaml"));
  REQUIRE(resolution.runs.size() == 4);
  CHECK(resolution.runs[0].config.seed == 5);
  CHECK(resolution.runs[2].config.seed == 6);
  CHECK(resolution.runs[2].config.length == "200ktokens");
}

TEST_CASE(
    "resolve: rates come from the architecture's preset, the sweep, the size and the arm, in this "
    "order") {
  const auto optimizer = [](const std::vector<std::string>& overrides) {
    return small_resolution(overrides).runs[1].config.training.optimizer;
  };
  CHECK(optimizer({}).learning_rate == 4e-3);
  CHECK(optimizer({}).beta2 == 0.99);
  CHECK(optimizer({}).epsilon == 1e-18);
  CHECK(optimizer({"training.learning_rate=3e-3"}).learning_rate == 3e-3);
  const std::string size =
      "axes.size=[{name: 200k, layers: 3, width: 64, head_size: 32, target: 200k, training: "
      "{learning_rate: "
      "2e-3}}]";
  CHECK(optimizer({"training.learning_rate=3e-3", size}).learning_rate == 2e-3);
  CHECK(optimizer({size, "arms.meta_state.training.learning_rate=1e-3"}).learning_rate == 1e-3);
  CHECK(optimizer({"training.learning_rate=3e-3"}).final_learning_rate == Approx(3e-4));
}

TEST_CASE("resolve: an arm may differ in its rates, and in nothing else") {
  CHECK_THAT(refusal_of([] { small_resolution({"arms.meta_state.training.batch_tokens=4096"}); }),
             Catch::Contains(
                 "arms.meta_state.training.batch_tokens: arm 'meta_state' may not differ from the "
                 "others in batch_tokens"));
  CHECK_THAT(refusal_of([] { small_resolution({"arms.meta_state.training.clip=2"}); }),
             Catch::Contains("may not differ from the others in clip"));
  CHECK_NOTHROW(small_resolution({"arms.meta_state.training.precision=bf16",
                                  "match.identical=[data_order, tokens, tokenizer, context]"}));
  CHECK_NOTHROW(small_resolution({"arms.meta_state.training.weight_decay=0.2"}));
}

TEST_CASE("resolve: a tolerance that cannot be met names the size and the nearest possible") {
  const std::string message = refusal_of([] { small_resolution({"match.tolerance=0.01%"}); });
  CHECK_THAT(message,
             Catch::StartsWith("sweep.yaml:8: axes.size[0]: size 200k: the arms cannot be matched "
                               "within 0.01%: the nearest possible for "));
  CHECK_THAT(message, Catch::Contains("allow a tolerance of "));
}

TEST_CASE("resolve: arms can be matched on FLOPs, at the baseline's") {
  const Resolution resolution =
      small_resolution({"match.on=flops_per_token", "match.tolerance=0.5%"});
  const double a = resolution.runs[0].counts.flops_per_token,
               b = resolution.runs[1].counts.flops_per_token;
  CHECK(std::abs(a - b) / a <= 0.005);
  CHECK(resolution.runs[0].config.model.feed_forward >
        resolution.runs[1].config.model.feed_forward);
}

TEST_CASE("resolve: a size may give the baseline's width instead of a target") {
  const Resolution resolution = small_resolution(
      {"axes.size=[{name: own, layers: 3, width: 64, head_size: 32, feed_forward: 250}]"});
  CHECK(resolution.runs[0].config.model.feed_forward == 250);
  CHECK(resolution.runs[1].config.model.feed_forward == 250);
}

TEST_CASE("resolve: an arm may give its own width, of a size that gives the baseline's not that") {
  const std::string size =
      "axes.size=[{name: own, layers: 3, width: 64, head_size: 32, feed_forward: 250}]";
  const Resolution resolution = small_resolution({size, "arms.meta_state.feed_forward=252"});
  CHECK(resolution.runs[0].config.model.feed_forward == 250);
  CHECK(resolution.runs[1].config.model.feed_forward == 252);
  CHECK_THAT(refusal_of([&] {
               small_resolution({size, "arms.meta_state.feed_forward=400"});
             }),
             Catch::Contains("feed_forward 400"));
  CHECK_THAT(refusal_of([&] {
               small_resolution({size, "arms.rwkv7.feed_forward=252"});
             }),
             Catch::Contains("the baseline has a feed_forward, and size own gives it another"));
}

TEST_CASE("resolve: micro_batch auto divides the batch, a given one must") {
  const auto automatic = [](std::vector<std::string> settings) {
    return small_resolution(settings).runs[0].config.training.micro_batch;
  };
  CHECK(automatic({}) == 4);  // of 16 windows of 128 tokens
  CHECK(automatic({"device=cuda"}) == 16);
  const std::string batch = "training.batch_tokens=0.5M", length = "axes.length=[1M tokens]";
  CHECK(automatic({batch, length}) == 3);  // of 3906
  CHECK(automatic({batch, length, "device=cuda"}) == 217);
  CHECK_THAT(refusal_of([] { small_resolution({"training.micro_batch=5"}); }),
             Catch::Contains("training.micro_batch: 5 does not divide the 16 windows of a batch"));
}

TEST_CASE("resolve: with device auto all runs ask for GPUs, or none does") {
  const std::string some = "resources={when: [{arm: rwkv7, gpus: 1}]}";
  CHECK_THAT(
      refusal_of([&] { small_resolution({some}); }),
      Catch::Contains("device is auto, the resources of some runs ask for GPUs, and those of "
                      "meta_state-") &&
          Catch::Contains("write device: cuda or device: cpu"));
  CHECK(small_resolution({some, "device=cuda"}).runs[0].config.device == Device::cuda);
  CHECK(small_resolution({"resources={default: {gpus: 1}}"}).runs[0].config.device == Device::cuda);
}

// ---- wsd

TEST_CASE("resolve: wsd with several lengths is one trunk and a branch per length") {
  const Resolution resolution = small_resolution(
      {"training.schedule={kind: wsd, warmup: 1%, decay: 10%}", "axes.length=[1xC, 4xC]"});
  REQUIRE(resolution.runs.size() == 6);
  const PlannedRun *trunk = nullptr, *shorter = nullptr, *longer = nullptr;
  for (const PlannedRun& run : resolution.runs) {
    if (run.config.arm != "rwkv7") continue;
    (run.config.role == Role::trunk ? trunk : run.config.length == "1xC" ? shorter : longer) = &run;
  }
  REQUIRE(trunk);
  const TrainingConfig &one = shorter->config.training, &four = longer->config.training;
  CHECK(shorter->config.parent.run == trunk->config.id);
  CHECK(shorter->config.parent.step == one.steps - one.schedule.decay_steps);
  CHECK(one.schedule.decay_steps == std::llround(0.1 * double(one.steps)));
  CHECK(one.schedule.warmup_steps == four.schedule.warmup_steps);  // the trunk's own
  CHECK(trunk->config.training.steps == longer->config.parent.step);
  CHECK(trunk->config.training.schedule.decay_steps == 0);
  CHECK(trunk->config.data.test.empty());
  CHECK(trunk->config.log.checkpoint_at ==
        std::vector<std::int64_t>{shorter->config.parent.step, longer->config.parent.step});
  CHECK(shorter->tokens == double(one.schedule.decay_steps) * 2048);  // only what is extra
}

TEST_CASE("resolve: a longer length that comes later keeps the trunk and the other branches") {
  const std::string wsd = "training.schedule={kind: wsd, warmup: 1%, decay: 10%}";
  const Resolution two = small_resolution({wsd, "axes.length=[1xC, 2xC]"}),
                   three = small_resolution({wsd, "axes.length=[1xC, 2xC, 4xC]"});
  const auto before = ids_of(two), after = ids_of(three);
  CHECK(after.size() == before.size() + 2);  // a branch for each arm
  for (const std::string& id : before) CHECK(after.contains(id));
  CHECK(three.runs[0].config.role == Role::trunk);
  CHECK(three.runs[0].config.training.steps > two.runs[0].config.training.steps);
  CHECK_THAT(three.runs[0].config.match.at("schedule"), Catch::EndsWith(" 0 of decay"));
}

TEST_CASE("resolve: wsd with one length needs no trunk") {
  const Resolution resolution = small_resolution({"training.schedule.kind=wsd"});
  REQUIRE(resolution.runs.size() == 2);
  CHECK(resolution.runs[0].config.parent.run.empty());
  CHECK(resolution.runs[0].config.training.schedule.decay_steps == 5);
}

// ---- tuning

TEST_CASE("resolve: a tuning adds equal trials for each arm, on validation only") {
  const std::string tuning =
      "match.tuning={trials_per_arm: 4, over: {learning_rate: [1e-3, 2e-3], beta2: [0.95, 0.99]}, "
      "at: smallest}";
  const Resolution resolution = small_resolution({tuning});
  REQUIRE(resolution.runs.size() == 2 * 4 + 2);
  std::map<std::string, int> trials;
  for (const PlannedRun& run : resolution.runs) {
    if (run.config.role != Role::trial) {
      CHECK(run.waits_for_tuning);
      continue;
    }
    ++trials[run.config.arm];
    CHECK(run.config.data.test.empty());
  }
  CHECK(trials == std::map<std::string, int>{{"rwkv7", 4}, {"meta_state", 4}});
  CHECK(ids_of(resolution).size() == 10);
}

TEST_CASE(
    "resolve: the trial of least validation loss decides, and its ratio goes to other sizes") {
  const std::string tuning =
      "match.tuning={trials_per_arm: 2, over: {learning_rate: [2e-3, 8e-3]}}";
  const std::string sizes =
      "axes.size=[{name: 200k, layers: 3, width: 64, head_size: 32, target: 200k}, {name: 20M, "
      "layers: 6, "
      "width: 512, head_size: 64, target: 20M}]";
  const Definition definition = small_definition({tuning, sizes});
  const Resolution trials = resolve(definition);
  std::map<std::string, double> losses;
  for (const PlannedRun& run : trials.runs) {
    const bool is_low = run.config.training.optimizer.learning_rate == 2e-3;
    if (run.config.role == Role::trial)
      losses[run.config.id] = (run.config.arm == "rwkv7") == is_low ? 1 : 2;
  }
  auto missing = losses;
  missing.erase(missing.begin());
  CHECK(choose(definition, trials, missing).empty());
  const TuningChoices choices = choose(definition, trials, losses);
  CHECK(choices.at("rwkv7").at("learning_rate") == 2e-3);
  CHECK(choices.at("meta_state").at("learning_rate") == 8e-3);
  for (const PlannedRun& run : resolve(definition, choices).runs) {
    if (run.config.role == Role::trial) continue;
    CHECK_FALSE(run.waits_for_tuning);
    const double preset = run.config.size == "20M" ? 1e-3 : 4e-3;
    CHECK(run.config.training.optimizer.learning_rate ==
          Approx(preset * (run.config.arm == "rwkv7" ? 0.5 : 2)));
  }
}

TEST_CASE("resolve: trials_per_arm is the number of combinations") {
  CHECK_THAT(
      refusal_of([] {
        small_resolution({"match.tuning={trials_per_arm: 3, over: {learning_rate: [1e-3, 2e-3]}}"});
      }),
      Catch::Contains(
          "trials_per_arm is 3, but 'over' has 2 combinations; write trials_per_arm: 2"));
}

// ---- identity

TEST_CASE("identity: the id of a configuration stays what it was") {
  // Changes only together with numerics_version, or when the definition of identity changes.
  const Resolution resolution = small_resolution();
  CHECK(resolution.runs[0].config.id == "rwkv7-200k-100ktokens-s1-5652b42b");
  CHECK(resolution.runs[1].config.id == "meta_state-200k-100ktokens-s1-ab16f020");
}

TEST_CASE("identity: what does not change the result does not change the id") {
  const std::string change = GENERATE(
      "training.micro_batch=2", "data.train=/elsewhere/train", "log.checkpoint_every=5 steps",
      "launch={local: {slots: 3, threads: 2}}", "training.recompute=block", "policy.retries=5",
      "policy={non_finite: roll_back, roll_back: {skip_batches: 2}}",
      "policy={spike: {action: stop}}", "evaluation.every=5 steps", "name=another",
      "training.wkv=scan", "training.low_rank=joined", "device=cuda");
  CAPTURE(change);
  CHECK(ids_of(small_resolution({change})) == ids_of(small_resolution()));
}

TEST_CASE("identity: what changes the result changes the id") {
  const std::string change =
      GENERATE("training.learning_rate=1e-3", "training.precision=bf16", "data.name=other",
               "data.order_seed=7", "data.order=sequential", "data.vocabulary=300",
               "training.clip=2", "training.schedule.warmup=5%", "training.schedule.final=0%",
               "training.context=64", "training.epsilon=1e-9", "policy={spike: {action: skip}}");
  CAPTURE(change);
  const auto changed = ids_of(small_resolution({change})), before = ids_of(small_resolution());
  for (const std::string& id : changed) CHECK_FALSE(before.contains(id));
}

TEST_CASE("identity: an option that an arm does not use is not in its id") {
  const auto ids = [](const char* change) { return small_resolution({change}); };
  const Resolution plain = small_resolution(), changed = ids("arms.meta_state.gamma_init=0.5");
  CHECK(plain.runs[0].config.id == changed.runs[0].config.id);
  CHECK(plain.runs[1].config.id != changed.runs[1].config.id);
}

TEST_CASE("resolve: every run's configuration is valid and survives its file") {
  for (const PlannedRun& run : small_resolution(two_by_two).runs) {
    const std::string text = to_yaml(run.config);
    CHECK(to_yaml(parse_run_config(text, "config.yaml")) == text);
  }
}

TEST_CASE("resolve: runs are selected by patterns") {
  const Resolution all = small_resolution(two_by_two);
  CHECK(selected(all, {"rwkv7-*"}, {}).runs.size() == 4);
  CHECK(selected(all, {}, {"*-s2-*"}).runs.size() == 4);
  CHECK(selected(all, {"rwkv7-*"}, {"*-s2-*"}).runs.size() == 2);
}

TEST_CASE("resolve: pairs and totals are those of the selected runs") {
  const Resolution all = small_resolution(two_by_two);
  CHECK(selected(all, {}, {}).tokens == all.tokens);
  const Resolution some = selected(all, {"rwkv7-*"}, {"*-s2-*"});
  CHECK(some.pairs.empty());  // nothing to compare rwkv7 with
  CHECK(some.tokens == some.runs[0].tokens + some.runs[1].tokens);
  CHECK(some.flops == some.runs[0].flops + some.runs[1].flops);
  CHECK(selected(all, {"*-s2-*"}, {}).pairs.size() == 1);
}

TEST_CASE("resolve: a pattern that matches no run is refused") {
  const Resolution all = small_resolution();
  CHECK_THAT(refusal_of([&] {
               selected(all, {"rwkv7-*", "rwkv8-*"}, {});
             }),
             Catch::Contains("no run of the sweep matches 'rwkv8-*'"));
  CHECK_THAT(refusal_of([&] { selected(all, {}, {"*-s9-*"}); }), Catch::Contains("'*-s9-*'"));
}

TEST_CASE("resolve: what cannot be had is refused at the line that asks for it") {
  const auto [change, words] = GENERATE(table<std::string, std::string>(
      {{"log.every=2 steps", "each step is logged; write every: 1 step"},
       {"resources={default: {gpu_memory: lots}}", "'lots' is no amount of memory"},
       {"training.wkv=chunked", "training.wkv: chunked is a form of the GPU kernels"}}));
  CAPTURE(change);
  const std::string message = refusal_of([&, change = change] { small_resolution({change}); });
  CHECK_THAT(message, Catch::Contains(words) && Catch::Matches(".*:[0-9]+: .*"));
}

TEST_CASE("resolve: what the policy says of spikes and roll-backs reaches every run") {
  const Resolution resolution = small_resolution(
      {"policy={non_finite: roll_back, spike: {action: skip, factor: 2, window: 32}, "
       "roll_back: {skip_batches: 4, most: 5}}"});
  for (const PlannedRun& run : resolution.runs) {
    const TrainingConfig& training = run.config.training;
    CHECK(training.non_finite == NonFinite::roll_back);
    CHECK(training.spike.action == OnSpike::skip);
    CHECK(training.spike.factor == 2);
    CHECK(training.spike.window == 32);
    CHECK(training.roll_back.skip_batches == 4);
    CHECK(training.roll_back.most == 5);
  }
  const TrainingConfig plain = small_resolution().runs[0].config.training;
  CHECK(plain.spike.action == OnSpike::ignore);
}

TEST_CASE("resolve: an arm's own rates leave the schedule, which pairs share, the same") {
  const Resolution resolution =
      small_resolution({"arms.meta_state.training.final_learning_rate=1e-6",
                        "arms.meta_state.training.learning_rate=1e-3"});
  const auto &a = resolution.runs[0].config.match, &b = resolution.runs[1].config.match;
  CHECK(a.at("schedule") == "cosine, 0 steps of warm-up, 0 of decay");
  CHECK(a.at("schedule") == b.at("schedule"));
  for (const char* fact : {"data_order", "evaluation"}) {  // the trainer's to say
    CAPTURE(fact);
    CHECK_FALSE(a.contains(fact));
  }
}

TEST_CASE("resolve: a thousand runs in less than a second") {
  std::string seeds = "axes.seed=[1";
  for (int seed = 2; seed <= 500; ++seed) seeds += ", " + std::to_string(seed);
  const std::clock_t start = std::clock();  // of this process: the machine may be busy
  CHECK(small_resolution({seeds + "]"}).runs.size() == 1000);
  CHECK(std::clock() - start < CLOCKS_PER_SEC);
}
