// Sweeps on probes: what of the probe enters a run, its id and its errors.
#include "tests/sweeps/definitions.hpp"

using namespace metascale;

namespace {

const char* const probe_sweep = R"(schema: 1
name: tracking
arms:
  transformer: {architecture: transformer}
  rwkv7: {architecture: rwkv7}
match: {on: non_embedding_parameters, tolerance: 2%}
axes:
  size:
    - {name: s3, layers: 2, width: 64, head_size: 32, feed_forward: 256}
    - {name: recall, layers: 2, width: 64, head_size: 32, feed_forward: 256, training: {context: 64}, probe: {task: mqar, vocabulary: 128, test_lengths: [256]}}
  length: [100k tokens]
  seed: [1]
training: {batch_tokens: 2048, context: 16}
data: {name: probes, probe: {task: s3, test_lengths: [32], examples: 50}}
)";

Resolution resolved(const std::vector<std::string>& overrides = {}) {
  return resolve(parse_definition(probe_sweep, "sweep.yaml", overrides));
}

std::string refused(const std::vector<std::string>& overrides) {
  return refusal_of([&] { resolved(overrides); });
}

}  // namespace

TEST_CASE(
    "probe sweep: a size has its own task, its ids and its lengths, over those of the sweep") {
  const Resolution resolution = resolved();
  REQUIRE(resolution.runs.size() == 4);
  const RunConfig& s3 = resolution.runs[0].config;
  CHECK(s3.size == "s3");
  CHECK(s3.data.probe.config.task == ProbeTask::s3);
  CHECK(s3.data.probe.examples == 50);
  CHECK(s3.model.vocabulary == 6);
  CHECK(s3.data.train.empty());
  const RunConfig& recall = resolution.runs[2].config;
  CHECK(recall.size == "recall");
  CHECK(recall.data.probe.config.task == ProbeTask::mqar);
  CHECK(recall.data.probe.config.pairs == 4);
  CHECK(recall.data.probe.test_lengths == std::vector<std::int64_t>{256});
  CHECK(recall.data.probe.examples == 50);
  CHECK(recall.model.vocabulary == 128);
  for (const PlannedRun& run : resolution.runs)
    CHECK(parse_run_config(to_yaml(run.config), "config.yaml").data.probe == run.config.data.probe);
}

TEST_CASE("probe sweep: what is trained on is in the id, how it is tested is not") {
  const std::string id = resolved().runs[0].config.id;
  CHECK(resolved({"data.probe.task=a5"}).runs[0].config.id != id);
  CHECK(resolved({"data.order_seed=7"}).runs[0].config.id != id);
  CHECK(resolved({"data.probe.test_lengths=[64, 128]"}).runs[0].config.id == id);
  CHECK(resolved({"data.probe.examples=9"}).runs[0].config.id == id);
  CHECK(resolved({"data.probe.task=dyck"}).runs[0].config.id !=
        resolved({"data.probe={task: dyck, depth: 3}"}).runs[0].config.id);
}

TEST_CASE("probe sweep: the doubled rate is another model, and of recurrent arms only") {
  const std::string id = resolved().runs[1].config.id;
  const RunConfig doubled = resolved({"arms.rwkv7.doubled_rate=true"}).runs[1].config;
  CHECK(doubled.model.doubled_rate);
  CHECK(doubled.id != id);
  CHECK(resolved({"arms.rwkv7.doubled_rate=false"}).runs[1].config.id == id);
  CHECK_THAT(refused({"arms.transformer.doubled_rate=true"}), Catch::Contains("doubled_rate"));
}

TEST_CASE("probe sweep: errors say where, what is wrong, and what would be right") {
  CHECK_THAT(refused({"data.probe.task=s4"}),
             Catch::Contains("data.probe.task") && Catch::Contains("s3"));
  CHECK_THAT(refused({"data.probe.pairs=8"}),
             Catch::Contains("data.probe") && Catch::Contains("pairs"));
  CHECK_THAT(refused({"data.train=x"}), Catch::Contains("train"));
  CHECK_THAT(refused({"data={name: probes, probe: {task: mqar, vocabulary: 64, pairs: 8}}"}),
             Catch::Contains("sweep.yaml:") && Catch::Contains("size s3") &&
                 Catch::Contains("need 32 tokens, not 16"));
  CHECK_THAT(refused({"data={name: t, train: a, validation: b, test: c}"}),
             Catch::Contains("axes.size[1].probe") && Catch::Contains("data.probe"));
}
