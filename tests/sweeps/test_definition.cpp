#include "data/tokenizer.hpp"
#include "tests/sweeps/definitions.hpp"

using namespace metascale;

namespace {

// The refusal of small_sweep with `find` replaced.
std::string refusal(const std::string& find, const std::string& replacement) {
  std::string text = small_sweep;
  const std::size_t at = text.find(find);
  REQUIRE(at != std::string::npos);
  text.replace(at, find.size(), replacement);
  return refusal_of([&] { resolve(parse_definition(text, "sweep.yaml")); });
}
std::string refusal_with(const std::string& lines) {
  return refusal("schema: 1\n", "schema: 1\n" + lines);
}

}  // namespace

TEST_CASE("sweep file: an unknown architecture names the nearest") {
  CHECK(refusal("architecture: meta_state", "architecture: metastate") ==
        "sweep.yaml:5: arms.meta_state.architecture: unknown value 'metastate'; did you mean "
        "'meta_state'?");
}

TEST_CASE("sweep file: an unknown key names the nearest") {
  CHECK(refusal("tolerance: 1%", "tolerence: 1%") ==
        "sweep.yaml:6: match.tolerence: unknown key; did you mean 'tolerance'?");
  CHECK(refusal_with("trainning: {}\n") ==
        "sweep.yaml:2: trainning: unknown key; did you mean 'training'?");
}

TEST_CASE("sweep file: a key of another architecture is unknown") {
  CHECK_THAT(refusal("{architecture: rwkv7}", "{architecture: rwkv7, rho: 0.5}"),
             Catch::StartsWith("sweep.yaml:4: arms.rwkv7.rho: unknown key; "));
}

TEST_CASE("sweep file: a wrong type says what belongs there") {
  CHECK(refusal("context: 128", "context: long") ==
        "sweep.yaml:11: training.context: 'long' is no number; write a whole number from 1 up, "
        "such as 2048, "
        "0.5M or 1e6");
  CHECK(refusal("seed: [1]", "seed: 1") ==
        "sweep.yaml:10: axes.seed: '1' where a list belongs; write [one, "
        "another]");
}

TEST_CASE("sweep file: an unknown unit names the units") {
  CHECK(refusal("100k tokens", "100k words") ==
        "sweep.yaml:9: axes.length[0]: unknown unit 'words'; write a number and its unit: xC, "
        "token, tokens, "
        "flop, flops");
  CHECK(refusal("tolerance: 1%", "tolerance: 0.01") ==
        "sweep.yaml:6: match.tolerance: '0.01' is no percentage; write a percentage from 1e-07% to "
        "50%, with "
        "its sign");
}

TEST_CASE("sweep file: a doubled key is refused") {
  CHECK(refusal_with("schema: 1\n") ==
        "sweep.yaml:2: schema: this key is here twice (first in line 1); keep one of them");
}

TEST_CASE("sweep file: what must be identical is named once") {
  CHECK_THAT(refusal("tolerance: 1%", "tolerance: 1%, identical: [tokens, context, tokens]"),
             Catch::Contains("match.identical[2]: tokens is named twice; name it once"));
}

TEST_CASE("sweep file: a vocabulary too small for its tokenizer is refused") {
  CHECK(refusal("name: toy,", "name: toy, vocabulary: 256,") ==
        "sweep.yaml:12: data.vocabulary: 256 is too small: the tokenizer 'bytes' has 257 ids; "
        "write 257 or "
        "more");
  CHECK_THAT(refusal("name: toy,", "name: toy, tokenizer: 20B_tokenizer.json, vocabulary: 1000,"),
             Catch::Contains("has 50277 ids"));
}

TEST_CASE("sweep file: without a vocabulary the byte tokenizer's own is taken") {
  CHECK(small_definition().data.vocabulary == make_tokenizer("bytes")->vocabulary());
}

TEST_CASE("sweep file: one arm is no comparison") {
  CHECK_THAT(
      refusal("  rwkv7: {architecture: rwkv7}\n", ""),
      Catch::Equals("sweep.yaml:3: arms: 1 arm; a comparison needs two or more; the first is the "
                    "baseline"));
}

TEST_CASE("sweep file: a name that would break a run's id is refused") {
  CHECK_THAT(refusal("  rwkv7:", "  rwkv-7:"), Catch::Contains("'rwkv-7' cannot be a name"));
  CHECK_THAT(refusal("name: 200k", "name: ../x"), Catch::Contains("'../x' cannot be a name"));
  CHECK_THAT(refusal("  rwkv7:", "  <script>:"), Catch::Contains("'<script>' cannot be a name"));
  for (const std::string name : {"../small", "/tmp/small", "..", ".small", "a b", "$(x)", "a;b"})
    CHECK_THAT(refusal("name: small", "name: \"" + name + "\""),
               Catch::Contains("'" + name + "' cannot be a name"));
}

TEST_CASE(
    "sweep file: a model of no layers, width or heads' channels is refused, one head is not") {
  for (const std::string key : {"layers: 3", "width: 64", "head_size: 32"}) {
    const std::string name = key.substr(0, key.find(':'));
    CHECK_THAT(refusal(key, name + ": 0"),
               Catch::Contains("axes.size[0]." + name + ": '0' is out of range"));
  }
  CHECK(refusal("head_size: 32", "head_size: 64") == "accepted");
}

TEST_CASE("sweep file: an unknown size names the presets and the long form") {
  CHECK_THAT(refusal("[{name: 200k, layers: 3, width: 64, head_size: 32, target: 200k}]", "[155M]"),
             Catch::Equals(
                 "sweep.yaml:8: axes.size[0]: unknown size '155M'; did you mean '150M'?; or write "
                 "{name: 275M, layers: 18, width: 896, target: 275M}"));
}

TEST_CASE("sweep file: exclude and include name values that exist") {
  CHECK_THAT(refusal_with("exclude: [{size: 300k}]\n"),
             Catch::Contains("exclude[0].size: unknown size '300k'; did you mean '200k'?"));
  CHECK_THAT(refusal_with("exclude: [{arm: rwkv}]\n"), Catch::Contains("did you mean 'rwkv7'?"));
  CHECK_THAT(refusal_with("exclude: [{seed: 9}]\n"), Catch::Contains("unknown seed 9"));
  CHECK_THAT(refusal_with("include: [{arm: rwkv7, size: 200k, length: 1xC}]\n"),
             Catch::Contains("include[0]: the key 'seed' is missing"));
}

TEST_CASE("sweep file: zipped lists are of equal length") {
  CHECK_THAT(
      refusal("  length: [100k tokens]\n  seed: [1]\n", "zip: [{length: [1xC, 2xC], seed: [1]}]\n"),
      Catch::Contains(
          "zip[0].seed: 1 values, but 2 beside them; zipped lists are of equal length"));
  CHECK_THAT(refusal("  seed: [1]\n", "  seed: [1]\nzip: [{seed: [2]}]\n"),
             Catch::Contains("the axis 'seed' is there already"));
  CHECK_THAT(refusal("  seed: [1]\n", ""), Catch::Contains("axes: the axis 'seed' is missing"));
}

TEST_CASE("sweep file: what is kept for later is checked now") {
  CHECK(
      refusal_with(
          "launch: {slurm: {partition: gpu, account: lab, array_cap: 16, signal_before: 120s, "
          "max_stalled_timeouts: 3, lines: [\"--exclusive\"], setup: [\"module load cuda\"]}}\n") ==
      "accepted");
  CHECK_THAT(refusal_with("launch: {slurm: {partitoin: gpu}}\n"),
             Catch::Contains("did you mean 'partition'?"));
  CHECK_THAT(refusal_with("launch: {local: {}, slurm: {}}\n"), Catch::Contains("2 ways to launch"));
  CHECK(refusal_with("launch: {template: {submit: a, state: b, cancel: c}}\n") == "accepted");
}

TEST_CASE("sweep file: what is done about spikes is said whole, and nothing else is taken") {
  const auto [policy, words] = GENERATE(table<std::string, std::string>(
      {{"{spike: {action: skip, factor: 2, window: 9}}", "accepted"},
       {"{spike: {action: roll_back}, roll_back: {most: 2}}", "accepted"},
       {"{non_finite: roll_back, roll_back: {skip_batches: 8}}", "accepted"},
       {"{spike: skip}", "policy.spike: "},
       {"{spike: {factor: 2}}", "'action'"},
       {"{spike: {action: rollback}}", "did you mean 'roll_back'?"},
       {"{spike: {action: skip, factor: 0.5}}", "policy.spike.factor: "},
       {"{spike: {action: skip, window: 0}}", "policy.spike.window: "},
       {"{spike: {action: skip, windows: 9}}", "did you mean 'window'?"},
       {"{non_finite: roll_back, roll_back: {skip_batches: 0}}", "policy.roll_back.skip_batches: "},
       {"{spike: {action: skip}, roll_back: {most: 2}}", "policy.roll_back: nothing rolls back"}}));
  CAPTURE(policy);
  CHECK_THAT(refusal_with("policy: " + policy + "\n"), Catch::Contains(words));
}

TEST_CASE("sweep file: a mixture with another order than permuted is refused at its line") {
  const auto data = [](const std::string& order) {
    return refusal("data: {", "data: {order: " + order + ", mixture: {weights: {a: 1}}, ");
  };
  CHECK_THAT(
      data("neox"),
      Catch::Contains("data.mixture: a mixture has no order 'neox'; write order: permuted") &&
          Catch::Matches("sweep.yaml:[0-9]+: .*"));
  CHECK(data("permuted") == "accepted");
}

TEST_CASE("sweep file: a growth names its parent and what grows, or says what is wrong with it") {
  const auto grown = [](const std::string& from, const std::string& grow,
                        const std::string& more = "") {
    return "include:\n  - {arm: meta_state, size: derived, from: {arm: meta_state, " + from +
           "}, grow: {" + grow + "}, length: 50k tokens" + more + "}\n";
  };
  const std::string parent = "size: 200k, length: 100k tokens, seed: 1";
  CHECK(refusal_with(grown(parent, "parameter_tokens: 2x, heads: 16")) == "accepted");
  CHECK_THAT(
      refusal_with(grown("size: 200k, length: 1xC, seed: 1", "heads: 2x")),
      Catch::Equals("sweep.yaml:3: include[0].from: there is no run meta_state-200k-1xC-s1 to "
                    "grow from; name arm, size, length and seed of a run of the axes, or of "
                    "an include above this one"));
  CHECK_THAT(refusal_with(grown(parent, "")), Catch::Contains("nothing grows"));
  CHECK_THAT(refusal_with(grown(parent, "heads: 1")),
             Catch::Contains("heads: 1 is no growth of 2"));
  CHECK_THAT(refusal_with(grown(parent, "width: 2x")), Catch::Contains("unknown key"));
  CHECK_THAT(refusal_with(grown(parent, "heads: 0.5x")), Catch::Contains("'0.5x' is no growth"));
  CHECK_THAT(refusal_with(grown(parent, "heads: 2x", ", name: 200k")),
             Catch::Contains("the size '200k' is there already, and not a grown one"));
  CHECK_THAT(refusal_with(grown(parent, "heads: 2x", ", training: {batch_tokens: 4096}")),
             Catch::Contains("a grown run goes on with its parent's batches"));
}

TEST_CASE("sweep file: --set changes a key and is named in its errors") {
  CHECK(small_definition({"training.context=256"}).training.context == 256);
  CHECK(refusal_of([] { small_definition({"training.contxt=256"}); }) ==
        "--set training.contxt=256:1: training.contxt: unknown key; did you mean 'context'?");
}

TEST_CASE("sweep file: device auto is a GPU where the resources ask for one") {
  const auto device_of = [](const char* resources, const char* device) {
    return small_definition({resources, device}).device;
  };
  CHECK(device_of("resources={default: {cpus: 2}}", "device=auto") == Device::cpu);
  CHECK(device_of("resources={default: {gpus: 1}}", "device=auto") == Device::cuda);
  CHECK(device_of("resources={when: [{arm: rwkv7, gpus: 8}]}", "device=auto") == Device::cuda);
  CHECK(device_of("resources={default: {gpus: 1}}", "device=cpu") == Device::cpu);
  CHECK(device_of("resources={default: {cpus: 2}}", "device=cuda") == Device::cuda);
}

TEST_CASE("sweep file: numbers with suffixes are numbers, and 1B is no boolean") {
  const Definition definition = small_definition({"training.batch_tokens=0.5M", "name=1B"});
  CHECK(definition.training.batch_tokens == 500000);
  CHECK(definition.name == "1B");
}
