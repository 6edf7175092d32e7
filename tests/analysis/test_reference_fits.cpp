// Fits of published tables, to the digits that their authors' own code gives. Tables that are not
// ours to copy lie in $METASCALE_REFERENCE/golden/fits; where they are absent a test is skipped by
// name. The small ones that may be told stand here, with their sources.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "analysis/fit_table.hpp"

using namespace metascale;

namespace {

std::filesystem::path reference(const std::string& name) {
  const char* given = std::getenv("METASCALE_REFERENCE");
  const std::filesystem::path folder = given ? given : METASCALE_SOURCE "/../shared";
  return folder / "golden/fits" / name;
}

bool absent(const std::string& name) {
  if (std::filesystem::exists(reference(name))) return false;
  WARN("skipped: " + name + ": no reference tables beside the checkout");
  return true;
}

FitTableOptions without_bootstrap() {
  FitTableOptions options;
  options.fit.draws = 0;
  options.fit.influence = false;
  return options;
}

bool agrees(double value, double expected, double unit) {
  return std::abs(value - expected) < unit;
}

}  // namespace

TEST_CASE("OLMo's ladder gives its authors' chinchilla law") {
  if (absent("olmo_c4.csv")) return;
  FitTableOptions options = without_bootstrap();
  options.law = "chinchilla", options.parameters = "parameters_non_embedding",
  options.tokens = "tokens";
  options.loss = "loss_nats_per_token", options.role = "role", options.label = "run";
  const Fit fit = *fit_table(reference("olmo_c4.csv"), options).fit;
  CHECK(agrees(fit.coefficients[0], 12.4828, 1e-4));
  CHECK(agrees(fit.coefficients[1], 33.4768, 1e-4));
  CHECK(agrees(fit.coefficients[2], 0.934375, 1e-6));
  CHECK(agrees(fit.coefficients[3], 0.103603, 1e-6));
  CHECK(agrees(fit.coefficients[4], 0.161969, 1e-6));
  REQUIRE(fit.held_out.size() == 2);
  CHECK(agrees(fit.held_out[1].predicted, 2.344387, 1e-6));
  CHECK(agrees(fit.held_out[1].measured, 2.437876, 1e-6));
}

TEST_CASE("Gadre's five small runs give the tied law and its errors on the large ones") {
  if (absent("gadre_rpj_c4val.csv")) return;
  FitTableOptions options = without_bootstrap();
  options.law = "tied", options.parameters = "parameters", options.tokens = "tokens";
  options.loss = "loss_nats_per_token", options.role = "role", options.objective = "squared";
  const Fit fit = *fit_table(reference("gadre_rpj_c4val.csv"), options).fit;
  const double kappa = fit.coefficients[3];
  CHECK(agrees(fit.coefficients[0], 166.211, 1e-3));
  // Their second coefficient stands before 6^(b/2) (M N)^b with b = -kappa.
  CHECK(agrees(fit.coefficients[1] * std::pow(6, kappa / 2), 366.687, 1e-3));
  CHECK(agrees(fit.coefficients[2], 1.83665, 1e-5));
  CHECK(agrees(kappa, 0.272851, 1e-6));
  REQUIRE(fit.held_out.size() == 2);
  CHECK(agrees(fit.held_out[0].error(), 0.007103, 1e-6));
  CHECK(agrees(fit.held_out[1].error(), 0.007320, 1e-6));
}

TEST_CASE("nanochat's isoFLOP optima lie on its authors' lines") {
  // karpathy/nanochat, development log: FLOPs, effective parameters, tokens
  const double table[][3] = {{1e18, 110678115, 1241505403},
                             {2.15e18, 167797457, 1785336422},
                             {4.64e18, 250650865, 2642234152},
                             {1e19, 381758347, 3806871243}};
  std::vector<FitPoint> parameters, tokens;
  for (const auto& row : table) {
    parameters.push_back({"", "", {row[0]}, row[1]});
    tokens.push_back({"", "", {row[0]}, row[2]});
  }
  const FitOptions options{.objective = Objective::squared_log, .draws = 0};
  CHECK(agrees(-fit_law(LawKind::loglog, parameters, options).coefficients[1], 0.5361, 5e-5));
  CHECK(agrees(-fit_law(LawKind::loglog, tokens, options).coefficients[1], 0.4889, 5e-5));
}

TEST_CASE("Porian's optima lie on the line of each stage") {
  if (absent("porian_rw_optima.csv")) return;
  const double expected[] = {0.834, 0.701, 0.604, 0.571, 0.497};
  const int stage = GENERATE(1, 2, 3, 4, 5);
  FitTableOptions options = without_bootstrap();
  options.law = "loglog", options.flops = "flops", options.loss = "n_star";
  options.where = "stage=" + std::to_string(stage);
  const FitTableResult result = fit_table(reference("porian_rw_optima.csv"), options);
  CHECK(agrees(-result.fit->coefficients[1], expected[stage - 1], 5e-4));
  CHECK(result.notes.size() == (stage == 2 ? 1 : 0));  // one optimum is missing in the source
}

TEST_CASE("Porian's isoFLOP points need the points near each minimum") {
  if (absent("porian_rw_isoflop_points.csv")) return;
  FitTableOptions options = without_bootstrap();
  options.law = "isoflop", options.flops = "flops", options.parameters = "parameters";
  options.where = "stage=1";
  const IsoflopFit near = *fit_table(reference("porian_rw_isoflop_points.csv"), options).isoflop;
  CHECK(agrees(near.exponent, 0.835, 0.03));
  options.nearest = 0;
  const IsoflopFit all = *fit_table(reference("porian_rw_isoflop_points.csv"), options).isoflop;
  CHECK(agrees(all.unchecked_exponent, 1.21, 5e-3));
  CHECK_FALSE(all.healthy());
}

// As people run it: with its bootstrap, without which no budget's influence can be judged.
TEST_CASE("Porian's isoFLOP exponent has an interval that one budget would leave") {
  if (absent("porian_rw_isoflop_points.csv")) return;
  FitTableOptions options{.law = "isoflop", .parameters = "parameters", .flops = "flops"};
  options.where = "stage=1", options.loss = "loss", options.fit.draws = 400;
  const IsoflopFit near = *fit_table(reference("porian_rw_isoflop_points.csv"), options).isoflop;
  CHECK(agrees(near.exponent, 0.864, 5e-4));
  CHECK(agrees(near.interval.low, 0.839, 4e-3));
  CHECK(agrees(near.interval.high, 0.885, 4e-3));
  REQUIRE(near.problems.size() == 1);
  CHECK_THAT(near.problems[0], Catch::StartsWith("one budget decides: without C = 1.25e+16 the "
                                                 "exponent is 0.8335 instead of 0.864"));
}

TEST_CASE("Pythia's losses follow a power law of non-embedding parameters") {
  // Cerebras-GPT paper, table 8: Pile test, nats per GPT-2 token
  const double table[][2] = {{18915328, 2.504},   {85056000, 2.186},   {302311424, 1.971},
                             {805736448, 1.845},  {1208602624, 1.793}, {2517652480, 1.720},
                             {6444163072, 1.626}, {11327027200, 1.582}};
  std::vector<FitPoint> points;
  for (const auto& row : table) points.push_back({"", "", {row[0]}, row[1]});
  const Fit fit = fit_law(LawKind::power, points, {.draws = 0});
  CHECK(agrees(fit.coefficients[0], 26.84, 5e-3));
  CHECK(agrees(fit.coefficients[1], 1.1473, 5e-5));
  CHECK(agrees(fit.coefficients[2], 0.1781, 5e-5));
  CHECK(agrees(fit.worst_residual, 0.0029, 5e-5));
}
