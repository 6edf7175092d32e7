#include <catch2/catch.hpp>

#include "experiments/matching.hpp"
#include "experiments/plan.hpp"

using namespace metascale;

namespace {

ModelConfig pile_model(Architecture architecture, std::int64_t layers, std::int64_t width) {
  ModelConfig model;
  model.architecture = architecture;
  model.layers = layers;
  model.width = width;
  model.vocabulary = 50304;
  return model;
}

struct Row {  // of the table of matched sizes
  double target;
  std::int64_t layers, width;
  std::int64_t transformer_width, state_width;
  std::int64_t transformer, rwkv7, meta_state, transformer_body, rwkv7_body, meta_state_body;
};

constexpr Row matched_sizes[] = {
    {150e6, 12, 768, 2432, 2112, 150518784, 149943552, 149952768, 73251840, 72676608, 72685824},
    {450e6, 24, 1024, 4992, 4672, 449395712, 450964480, 450989056, 346373120, 347941888, 347966464},
    {900e6, 32, 1280, 6848, 6400, 900071936, 900099840, 900140800, 771293696, 771321600, 771362560},
    {1.5e9, 40, 1536, 7872, 7424, 1500203520, 1500307968, 1500369408, 1345669632, 1345774080,
     1345835520}};

std::vector<MatchArm> three_arms(std::int64_t layers, std::int64_t width) {
  return {{"transformer", pile_model(Architecture::transformer, layers, width)},
          {"rwkv7", pile_model(Architecture::rwkv7, layers, width)},
          {"meta_state", pile_model(Architecture::meta_state, layers, width)}};
}

std::string refusal(const std::vector<MatchArm>& arms, const MatchRequest& request) {
  try {
    match_arms(arms, request);
  } catch (const Error& error) {
    CHECK(error.code == ExitCode::usage);
    return error.what();
  }
  return "matched";
}

}  // namespace

TEST_CASE("matching: the published sizes get the table's widths and parameters") {
  const std::size_t index = GENERATE(0u, 1u, 2u, 3u);
  const Row& row = matched_sizes[index];
  const MatchResult result = match_arms(
      three_arms(row.layers, row.width),
      {.on = MatchOn::parameters, .target = row.target, .tolerance = 0.005, .context = 2048});
  CHECK(result.step == 64);
  CHECK(result.models[0].feed_forward == row.transformer_width);
  CHECK(result.models[1].feed_forward == row.state_width);
  CHECK(result.models[2].feed_forward == row.state_width);
  const std::int64_t parameters[] = {row.transformer, row.rwkv7, row.meta_state};
  const std::int64_t body[] = {row.transformer_body, row.rwkv7_body, row.meta_state_body};
  for (std::size_t arm = 0; arm < 3; ++arm) {
    const ModelCounts counts = count_model(result.models[arm], 2048);
    CHECK(counts.parameters == parameters[arm]);
    CHECK(counts.non_embedding_parameters == body[arm]);
    CHECK(result.values[arm] == double(parameters[arm]));
  }
}

TEST_CASE("matching: the Llama form gets the widths of the table's footnote") {
  const auto [target, layers, width, expected, parameters] =
      GENERATE(table<double, std::int64_t, std::int64_t, std::int64_t, std::int64_t>(
          {{150e6, 12, 768, 1600, 149834496},
           {450e6, 24, 1024, 3328, 449102848},
           {900e6, 32, 1280, 4544, 896943360},
           {1.5e9, 40, 1536, 5248, 1499457024}}));
  const MatchResult result = match_arms(
      {{"pp", pile_model(Architecture::transformer_pp, layers, width)}},
      {.on = MatchOn::parameters, .target = target, .tolerance = 0.005, .context = 2048});
  CHECK(result.models[0].feed_forward == expected);
  CHECK(count_model(result.models[0], 2048).parameters == parameters);
}

TEST_CASE("plan: model FLOPs per token at 150M") {
  const MatchResult result = match_arms(
      three_arms(12, 768), {.on = MatchOn::parameters, .target = 150e6, .context = 2048});
  const double expected[] = {783.9e6, 682.7e6, 695.1e6};
  for (std::size_t arm = 0; arm < 3; ++arm)
    CHECK(count_model(result.models[arm], 2048).flops_per_token ==
          Approx(expected[arm]).epsilon(2e-4));
}

TEST_CASE("plan: the parts add up") {
  const Architecture architecture =
      GENERATE(Architecture::transformer, Architecture::transformer_pp, Architecture::rwkv7,
               Architecture::meta_state);
  ModelConfig model = pile_model(architecture, 3, 128);
  model.feed_forward = 200;
  std::int64_t parameters = 0;
  for (const ModelItem& item : itemise_model(model, 64)) parameters += item.parameters;
  CHECK(parameters == count_model(model, 64).parameters);
}

TEST_CASE("plan: only attention feels the context") {
  const auto flops = [](Architecture architecture, std::int64_t context) {
    ModelConfig model = pile_model(architecture, 3, 128);
    model.feed_forward = 200;
    return count_model(model, context).flops_per_token;
  };
  CHECK(flops(Architecture::rwkv7, 64) == flops(Architecture::rwkv7, 4096));
  // 3 passes x 2D more per token of context and layer
  CHECK(flops(Architecture::transformer, 4096) - flops(Architecture::transformer, 64) ==
        3.0 * 2 * 128 * (4096 - 64) * 3);
}

TEST_CASE(
    "plan: the read-out adds one vector per layer, and FLOPs only where the state is read again") {
  ModelConfig model = pile_model(Architecture::rwkv7, 4, 256);
  model.feed_forward = 1024;
  const ModelCounts plain = count_model(model, 128);
  model.architecture = Architecture::meta_state;
  const ModelCounts state = count_model(model, 128);
  model.read_out = ReadOut::time_mix;
  const ModelCounts time_mix = count_model(model, 128);
  model.read_out = ReadOut::none;
  const ModelCounts none = count_model(model, 128);
  CHECK(state.parameters - plain.parameters == 4 * 256);
  CHECK(state.flops_per_token - plain.flops_per_token == 3.0 * 7 * 64 * 256 * 4);
  CHECK(time_mix.parameters == state.parameters);
  CHECK(time_mix.flops_per_token == plain.flops_per_token);
  CHECK(none.parameters == plain.parameters);
}

TEST_CASE("plan: low-rank widths round ties to even") {
  const auto ranks = [](std::int64_t width) {
    return low_ranks(pile_model(Architecture::rwkv7, 1, width));
  };
  CHECK(ranks(1024).decay == 64);  // 2.5 -> 2
  CHECK(ranks(1024).gate == 160);
  CHECK(ranks(768).value == 32);
  CHECK(ranks(1280).rate == 96);
  CHECK(ranks(1536).gate == 192);
}

TEST_CASE("plan: the number of read heads rounds half up and is at least one") {
  const auto read = [](double rho, std::int64_t heads) {
    ModelConfig model = pile_model(Architecture::meta_state, 1, heads * 64);
    model.rho = rho;
    return read_head_count(model);
  };
  CHECK(read(0.5, 5) == 3);
  CHECK(read(0.01, 12) == 1);
  CHECK(read(1, 12) == 12);
}

TEST_CASE("matching: FLOPs per token are matched as parameters are") {
  const MatchResult result = match_arms(
      three_arms(12, 768),
      {.on = MatchOn::flops_per_token, .target = 750e6, .tolerance = 0.002, .context = 2048});
  for (const double value : result.values) CHECK(std::abs(value / 750e6 - 1) <= 0.002);
  CHECK(result.models[1].feed_forward > result.models[2].feed_forward);  // the read-out is paid for
}

TEST_CASE("matching: a tolerance that cannot be met names the nearest possible") {
  CHECK(refusal(three_arms(12, 768),
                {.on = MatchOn::parameters, .target = 150e6, .tolerance = 1e-6, .context = 2048}) ==
        "the arms cannot be matched within 0.0001%: the nearest possible for arm 'meta_state' is "
        "feed_forward 2115 with 150008064 parameters (+0.0054% of the target 150000000); allow a "
        "tolerance "
        "of 0.0062%, or change the target, the width or the layers");
}

TEST_CASE("matching: no tolerance is recommended that no sweep may ask for") {
  const auto said = [](double target) {
    return refusal(
        three_arms(12, 768),
        {.on = MatchOn::parameters, .target = target, .tolerance = 0.01, .context = 2048});
  };
  CHECK_THAT(said(100e6), Catch::Contains("allow a tolerance of ") &&
                              Catch::EndsWith("or change the target, the width or the layers"));
  CHECK_THAT(said(50e6), !Catch::Contains("allow a tolerance") &&
                             Catch::EndsWith("; change the target, the width or the layers"));
}

TEST_CASE("matching: a target below the smallest model is refused") {
  CHECK_THAT(
      refusal(three_arms(12, 768),
              {.on = MatchOn::parameters, .target = 50e6, .tolerance = 0.01, .context = 2048}),
      Catch::Contains("feed_forward 1 with"));
}

TEST_CASE("matching: a given step is kept") {
  const MatchResult result = match_arms(three_arms(12, 768), {.on = MatchOn::parameters,
                                                              .target = 150e6,
                                                              .tolerance = 0.005,
                                                              .step = 32,
                                                              .context = 2048});
  CHECK(result.step == 32);
  for (const ModelConfig& model : result.models) CHECK(model.feed_forward % 32 == 0);
}

TEST_CASE("matching: the width that an arm was given is its own, not that of its family") {
  auto arms = three_arms(12, 768);
  arms.push_back({"more_tokens", arms[2].model});
  arms[3].model.feed_forward = 2560;
  const MatchResult result = match_arms(
      arms, {.on = MatchOn::parameters, .target = 150e6, .tolerance = 0.1, .context = 2048});
  CHECK(result.models[3].feed_forward == 2560);
  CHECK(result.models[1].feed_forward == 2112);  // solved, as without it
  CHECK(result.models[2].feed_forward == 2112);
  arms.erase(arms.begin());  // of the baseline's family the baseline's width is that of all
  arms[0].model.feed_forward = 2112;
  CHECK(match_arms(arms,
                   {.on = MatchOn::parameters, .target = 150e6, .tolerance = 0.1, .context = 2048})
            .models[1]
            .feed_forward == 2112);
}
