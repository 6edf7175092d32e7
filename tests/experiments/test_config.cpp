#include <catch2/catch.hpp>
#include <functional>

#include "experiments/config.hpp"
#include "tests/experiments/config_refusal.hpp"
#include "tests/support/files.hpp"

using namespace metascale;

namespace {

// Every field differs from its default.
RunConfig full_config() {
  RunConfig run;
  run.id = "meta_state-150M-1xC-s7-0123abcd";
  run.sweep = "pile";
  run.arm = "meta_state";
  run.size = "150M";
  run.length = "1xC";
  run.role = Role::trial;
  run.seed = 18446744073709551615u;
  run.device = Device::cuda;
  run.threads = 3;
  run.model = {.architecture = Architecture::meta_state,
               .layers = 12,
               .width = 768,
               .vocabulary = 50304,
               .head_size = 32,
               .heads = 24,
               .feed_forward = 2112,
               .rank_decay = 1,
               .rank_rate = 2,
               .rank_value = 3,
               .rank_gate = 4,
               .read_out = ReadOut::time_mix,
               .read_state = ReadState::current,
               .rho = 1.0 / 3,
               .gamma_init = -0.1,
               .rotary_fraction = 0.3,
               .parallel_residual = false,
               .gelu_tanh = false};
  run.training.steps = 1000;
  run.training.batch_tokens = 8192;
  run.training.micro_batch = 2;
  run.training.context = 2048;
  run.training.precision = Precision::bf16;
  run.training.recompute = Recompute::block;
  run.training.wkv = WkvForm::chunked;
  run.training.schedule = {
      .kind = ScheduleKind::wsd, .warmup_steps = 10, .decay_steps = 100, .first_step = 20};
  run.training.optimizer = {.learning_rate = 1.0 / 1234,
                            .final_learning_rate = 1.0 / 12345,
                            .beta1 = 0.91,
                            .beta2 = 0.99,
                            .epsilon = 1e-18,
                            .weight_decay = 0.001,
                            .clip = 0.7,
                            .new_learning_rate = 1.5,
                            .new_weight_decay = 0.5};
  run.training.non_finite = NonFinite::skip;
  run.training.spike = {.action = OnSpike::skip, .factor = 2.5, .window = 32};
  run.training.roll_back = {.skip_batches = 4, .most = 5};
  run.data = {.name = "pile",
              .train = "a folder/train: x",
              .validation = "val",
              .test = "test",
              .tokenizer = "20B_tokenizer.json",
              .order = "sequential",
              .order_seed = 5,
              .mixture = "pile",
              .reset_at_documents = true};
  run.evaluation = {.every_steps = 5,
                    .windows = 6,
                    .final_windows = 7,
                    .protocol = "rolling_documents",
                    .domains = {"Books", "a \"b\", c"}};
  run.log = {.checkpoint_every = 8, .keep = 9, .checkpoint_at = {10, 20}};
  run.parent = {.run = "another-run", .step = 11};
  run.lineage = {{.run = "first-run", .step = 5, .layers = 8, .heads = 12, .feed_forward = 1024},
                 {.run = "another-run",
                  .step = 11,
                  .layers = 10,
                  .heads = 20,
                  .feed_forward = 2048,
                  .rank_decay = 1,
                  .rank_rate = 2,
                  .rank_value = 3,
                  .rank_gate = 4,
                  .insert_after = {0, 9}}};
  run.match = {{"on", "parameters"}, {"data order", "1: 2"}, {"empty", ""}};
  return run;
}

std::string refusal(const std::string& find, const std::string& replacement) {
  return testing::refusal_of(full_config(), find, replacement);
}

}  // namespace

TEST_CASE("config: what is written is read back, bit for bit") {
  const RunConfig run = full_config();
  const RunConfig again = parse_run_config(to_yaml(run), "config.yaml");
  CHECK(to_yaml(again) == to_yaml(run));
  CHECK(again.seed == run.seed);
  CHECK(again.model.rho == run.model.rho);
  CHECK(again.model.read_state == ReadState::current);
  CHECK(again.training.optimizer.learning_rate == run.training.optimizer.learning_rate);
  CHECK(again.training.optimizer.epsilon == 1e-18);
  CHECK(again.training.schedule.kind == ScheduleKind::wsd);
  CHECK(again.data.train == run.data.train);
  CHECK(again.log.checkpoint_at == run.log.checkpoint_at);
  CHECK(again.evaluation.domains == run.evaluation.domains);
  CHECK(again.match == run.match);
  REQUIRE(again.lineage.size() == 2);
  CHECK(again.lineage[1].insert_after == run.lineage[1].insert_after);
  CHECK(again.role == Role::trial);
}

TEST_CASE("config: no field is left at its default by the round trip") {
  // A field that to_yaml forgets would come back as its default: then the texts would agree, but
  // differ from a text in which each field was changed.
  const std::string text = to_yaml(full_config());
  RunConfig plain = full_config();
  plain = RunConfig{};
  std::size_t lines = 0;
  std::vector<std::string> same;
  const std::string other = "\n" + to_yaml(plain);
  for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) {
    const std::string line = text.substr(begin, text.find('\n', begin) - begin) + "\n";
    ++lines;
    if (line.find(": ") != std::string::npos && other.find("\n" + line) != std::string::npos)
      same.push_back(line);
  }
  CHECK(lines > 60);
  CHECK(same == std::vector<std::string>{"schema: 1\n"});  // which has one value only
}

TEST_CASE("config: an unknown key names the nearest") {
  CHECK_THAT(refusal("  head_size: 32", "  head_siez: 32"),
             Catch::Contains("model.head_siez: unknown key; did you mean 'head_size'?"));
}

TEST_CASE("config: an unknown architecture names the nearest") {
  CHECK_THAT(
      refusal("architecture: meta_state", "architecture: metastate"),
      Catch::Contains("model.architecture: unknown value 'metastate'; did you mean 'meta_state'?"));
}

TEST_CASE("config: a key without which there is no run is missed by name") {
  CHECK_THAT(refusal("  layers: 12\n", ""),
             Catch::Contains("model: the key 'layers' is missing; add 'layers: ...'"));
  CHECK_THAT(refusal("schema: 1\n", ""), Catch::Contains("the key 'schema' is missing"));
}

TEST_CASE("config: another schema is refused") {
  CHECK_THAT(refusal("schema: 1", "schema: 2"), Catch::Contains("'2' is out of range"));
}

TEST_CASE("config: what no single key shows is checked") {
  CHECK_THAT(
      refusal("batch_tokens: 8192", "batch_tokens: 8000"),
      Catch::Contains("training.batch_tokens: 8000 is no multiple of context 2048; write 6144"));
  CHECK_THAT(refusal("micro_batch: 2", "micro_batch: 3"),
             Catch::Contains("training.micro_batch: 3 does not divide the 4 windows of a batch"));
  CHECK_THAT(refusal("head_size: 32", "head_size: 80"),
             Catch::Contains("model.head_size: head_size 80 does not divide width 768"));
  CHECK_THAT(refusal("warmup_steps: 10", "warmup_steps: 950"),
             Catch::Contains("950 warm-up and 100 decay steps in 980"));
  CHECK_THAT(
      refusal("kind: wsd", "kind: cosine"),
      Catch::Contains("training.schedule.decay_steps: a cosine schedule has no decay phase"));
  CHECK_THAT(refusal("device: cuda", "device: plan"),
             Catch::Contains("cannot be trained on 'plan'"));
  CHECK_THAT(refusal("checkpoint_at: [10, 20]", "checkpoint_at: [10, 2000]"),
             Catch::Contains("log.checkpoint_at: step 2000 of 1000"));
}

TEST_CASE(
    "config: a transformer may have more heads than fill its width, as when they were grown") {
  std::string text = to_yaml(full_config());
  text.replace(text.find("meta_state\n  layers"), 10, "transformer");
  text.replace(text.find("heads: 24"), 9, "heads: 36");
  CHECK(parse_run_config(text, "c").model.heads == 36);
}

TEST_CASE("config: names that leave the run folder are refused") {
  CHECK_THAT(refusal("arm: meta_state", "arm: ../evil"),
             Catch::Contains("cannot be part of a file name"));
}

TEST_CASE("config: a file that is not there is a usage error that names it") {
  CHECK_THROWS_WITH(read_run_config("no/such/config.yaml"), Catch::Contains("no/such/config.yaml"));
}

TEST_CASE("config: a mixture is a map or the line that config.yaml holds, and keeps its numbers") {
  const auto parsed = [](const std::string& mixture) {
    RunConfig run = full_config();
    run.data.mixture = "as_stored";
    std::string text = to_yaml(run);
    const std::string line = "mixture: as_stored";
    text.replace(text.find(line), line.size(), "mixture: " + mixture);
    return parse_run_config(text, "config.yaml").data.mixture;
  };
  const std::string one_line = parsed("{weights: {Wikipedia (en): 0.1, Books: 3}}");
  CHECK(one_line == R"x({"weights":{"Books":3.0,"Wikipedia (en)":0.1}})x");
  CHECK(parsed("'" + one_line + "'") == one_line);
  CHECK(parsed("pile") == "pile");
  for (const char* wrong : {"{shares: {a: 1}}", "{weights: {a: 0}}", "{weights: {}}", "natural"})
    CHECK_THAT(testing::error_of(ExitCode::usage, [&] { parsed(wrong); }),
               Catch::Contains("config.yaml:") && Catch::Contains("mixture"));
}
