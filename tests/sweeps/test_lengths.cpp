// A length is trained on as it is written: whole batches may move it a little, never make another
// one of it.
#include "tests/sweeps/definitions.hpp"

namespace metascale {
namespace {

using Catch::Contains;

TEST_CASE("lengths: one that whole batches would make another is refused where it stands") {
  const auto [length, batch, words] = GENERATE(table<std::string, std::string, std::string>(
      {{"20k tokens", "1B",
        "20000 tokens are 2e-05 batches of 1000000000, and only whole ones are "
        "trained on; the nearest possible length is 1000000000 tokens"},
       {"1 tokens", "2048", "1 tokens are 0.0004883 batches of 2048"},
       {"3k tokens", "2048", "3000 tokens are 1.465 batches of 2048"},
       {"1e9 flop", "2048", "the nearest possible length is "},
       {"0.0004xC", "2048", "the nearest possible length is "}}));
  CAPTURE(length);
  const std::string message = refusal_of([&, length = length, batch = batch] {
    // Windows of 64: a batch of 1B is a whole number of them.
    small_resolution(
        {"axes.length=[" + length + "]", "training.batch_tokens=" + batch, "training.context=64"});
  });
  CHECK_THAT(message, Catch::StartsWith("--set axes.length=[" + length + "]:1: axes.length[0]: ") &&
                          Contains(words));
}

TEST_CASE("lengths: a little rounding is no other length") {
  const auto steps = [](const std::string& length) {
    return small_resolution({"axes.length=[" + length + "]"}).runs[0].config.training.steps;
  };
  CHECK(steps("2048 tokens") == 1);
  CHECK(steps("50k tokens") == 24);  // 24.41, 1.7% away
  CHECK(steps("52k tokens") == 25);  // 25.39, 1.5% away
}

TEST_CASE("lengths: from 25 steps on every length can be had") {
  for (int tokens = 25 * 2048; tokens < 27 * 2048; tokens += 97)
    CHECK_NOTHROW(small_resolution({"axes.length=[" + std::to_string(tokens) + " tokens]"}));
}

TEST_CASE("lengths: what a growth adds, and what its partner is to cost, are whole batches, too") {
  const auto refusal = [](const std::string& batch, const std::string& length) {
    return refusal_of([&] {
      small_resolution({"axes.length=[100k tokens]", "training.batch_tokens=" + batch,
                        "include=[{arm: meta_state, size: derived, name: more, from: {arm: "
                        "meta_state, size: 200k, length: 100k tokens, seed: 1}, grow: "
                        "{parameter_tokens: 2x}, length: " +
                            length + ", scratch: [total]}]"});
    });
  };
  CHECK(refusal("2048", "50k tokens") == "accepted");
  CHECK_THAT(refusal("2048", "3k tokens"), Contains("3000 tokens are 1.465 batches of 2048"));
  // One batch, and one more: the larger model takes no whole number of steps for their FLOPs.
  CHECK_THAT(refusal("99968", "99968 tokens"),
             Contains("include[0]") && Contains("lengthen the growth from 99968 to "));
}

TEST_CASE("lengths: two of the same steps are refused, as one run under two names") {
  CHECK_THAT(
      refusal_of([] { small_resolution({"axes.length=[100k tokens, 100100 tokens]"}); }),
      Contains("axes.length[1]: the lengths 100ktokens and 100100tokens are the same 49 steps "
               "at size 200k; leave one of them out"));
  CHECK_NOTHROW(small_resolution({"axes.length=[100k tokens, 102k tokens]"}));
}

}  // namespace
}  // namespace metascale
