#include <catch2/catch.hpp>
#include <functional>
#include <tuple>

#include "experiments/config.hpp"
#include "tests/experiments/config_refusal.hpp"
#include "tests/support/files.hpp"

using namespace metascale;

namespace {

// Every field differs from its default but the schema, and the probe, which excludes token files.
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
               .doubled_rate = true,
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
  run.training.low_rank = LowRankForm::joined;
  run.training.stochastic_rounding = run.training.cuda_graph = true;
  run.training.timed_products = true;
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
              .format = "llm.c",
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

// The fields of each structure. A new one does not compile here before it is named, and so
// compared.
auto members(const ModelConfig& from) {
  const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s] = from;
  return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s);
}
auto members(const OptimizerConfig& from) {
  const auto& [a, b, c, d, e, f, g, h, i] = from;
  return std::tie(a, b, c, d, e, f, g, h, i);
}
auto members(const ScheduleConfig& from) {
  const auto& [a, b, c, d] = from;
  return std::tie(a, b, c, d);
}
auto members(const SpikeConfig& from) {
  const auto& [a, b, c] = from;
  return std::tie(a, b, c);
}
auto members(const RollBackConfig& from) {
  const auto& [a, b] = from;
  return std::tie(a, b);
}
auto members(const TrainingConfig& from) {
  const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = from;
  return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
}
auto members(const DataConfig& from) {
  const auto& [a, b, c, d, e, f, g, h, i, j, k] = from;
  return std::tie(a, b, c, d, e, f, g, h, i, j, k);
}
auto members(const EvaluationConfig& from) {
  const auto& [a, b, c, d, e] = from;
  return std::tie(a, b, c, d, e);
}
auto members(const LogConfig& from) {
  const auto& [a, b, c] = from;
  return std::tie(a, b, c);
}
auto members(const ParentConfig& from) {
  const auto& [a, b] = from;
  return std::tie(a, b);
}
auto members(const Ancestor& from) {
  const auto& [a, b, c, d, e, f, g, h, i, j] = from;
  return std::tie(a, b, c, d, e, f, g, h, i, j);
}
auto members(const RunConfig& from) {
  const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r] = from;
  return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r);
}

// visit(x, y) for each two fields of a and b that have no fields of their own.
template <typename T>
void each_field(const T& a, const T& b, auto&& visit) {
  if constexpr (requires { members(a); }) {
    const auto left = members(a), right = members(b);
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (each_field(std::get<I>(left), std::get<I>(right), visit), ...);
    }
    (std::make_index_sequence<std::tuple_size_v<decltype(members(a))>>());
  } else if constexpr (std::is_same_v<T, std::vector<Ancestor>>) {
    visit(a.size(), b.size());
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) each_field(a[i], b[i], visit);
  } else {
    visit(a, b);
  }
}

// The numbers of the fields that are equal, counted from 0 in the order of the structures.
std::vector<int> equal_fields(const RunConfig& a, const RunConfig& b, int& count) {
  std::vector<int> equal;
  count = 0;
  each_field(a, b, [&](const auto& x, const auto& y) {
    if (x == y) equal.push_back(count);
    ++count;
  });
  return equal;
}

TEST_CASE("config: what is written is read back, every field of it, bit for bit") {
  const RunConfig run = full_config();
  const RunConfig again = parse_run_config(to_yaml(run), "config.yaml");
  CHECK(to_yaml(again) == to_yaml(run));
  int count = 0;
  const auto equal = equal_fields(run, again, count);
  CHECK(equal.size() == std::size_t(count));
}

TEST_CASE("config: the configuration that is read back leaves no field at its default") {
  int count = 0;
  const auto equal = equal_fields(full_config(), RunConfig{}, count);
  CHECK(count == 82);
  const int schema = 0, probe = 9 + 1 + 19 + 11 + 4 + 9 + 1 + 3 + 2 + 10;  // see full_config
  CHECK(equal == std::vector<int>{schema, probe});
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
  const auto [key, name] =
      GENERATE(table<std::string, std::string>({{"id", "meta_state-150M-1xC-s7-0123abcd"},
                                                {"sweep", "pile"},
                                                {"arm", "meta_state"},
                                                {"length", "1xC"},
                                                {"run", "another-run"},   // of the parent
                                                {"run", "first-run"}}));  // of the lineage
  const std::string evil = GENERATE("../evil", "/evil", "..", ".evil", "a/../../evil");
  CAPTURE(name, evil);
  CHECK_THAT(refusal(key + ": " + name, key + ": " + evil),
             Catch::Contains("cannot be part of a file name") || Catch::Contains("lineage: "));
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
               Catch::Contains("config.yaml:") && Catch::Contains("data.mixture: ") &&
                   !Catch::Contains("data.mixture: data.mixture"));
}
