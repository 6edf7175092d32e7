#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "analysis/figure.hpp"
#include "analysis/figures/drawing.hpp"
#include "core/command.hpp"
#include "tests/analysis/drawn_pdf.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;
using testing::expect_drawn;
using testing::expect_inside;
namespace fs = std::filesystem;

namespace {

// A cache that grows with the position, and a state that does not.
ContextCosts measured_generation() {
  ContextModel growing{.architecture = "transformer"}, constant{.architecture = "rwkv7"};
  for (std::int64_t tokens = 1024; tokens <= 131072; tokens *= 2) {
    const double bytes = 512 * double(tokens);
    growing.generation.push_back({tokens, 1e-4, bytes, bytes + 2e4});
    constant.generation.push_back({tokens, 1e-4, 5e4, 0});
  }
  return {.models = {growing, constant}};
}

Report small_report() {
  fixture::SweepTruth truth;
  truth.sizes.resize(3), truth.seeds = 1, truth.steps = 30, truth.documents = 24;
  truth.arms[2].arm = "it's `rm -rf`; \"$HOME\"";
  truth.arms[1].arm = "an_arm_of_a_name_too_long";
  Collection collection = fixture::collection_of(fixture::sweep_logs(truth));
  collection.context = measured_generation();
  return analyse(std::move(collection), {.bootstrap_pairs = 100, .bootstrap_fits = 20});
}

}  // namespace

TEST_CASE("a name cannot leave its gnuplot string") {
  CHECK(gnuplot_text("it's\nsystem('rm')") == "'it''s system(''rm'')'");
}

TEST_CASE("a key has as many columns as its longest title leaves room for") {
  CHECK_THAT(key_above({"a", "b", "c"}), Catch::Contains("maxcols 3 "));
  CHECK_THAT(key_above({"transformer_grown", "b", "c", "d"}), Catch::Contains("maxcols 2 "));
  CHECK_THAT(key_above({"transformer_grown of large", "b"}), Catch::Contains("maxcols 1 "));
  CHECK_THAT(key_above({std::string(100, 'x'), "b"}), Catch::Contains("maxcols 1 "));
  CHECK_THAT(key_above({}), Catch::Contains("maxcols 1 "));
}

TEST_CASE("generation's memory is drawn as measured and as computed, one block for each model") {
  const std::vector<Figure> figures = figures_of(small_report());
  const auto found = std::find_if(figures.begin(), figures.end(), [](const Figure& figure) {
    return figure.name == "generation-memory";
  });
  REQUIRE(found != figures.end());
  CHECK_THAT(found->data, Catch::StartsWith("1024,0.524288,0.544288\n") &&
                              Catch::Contains("\n\n\n1024,0.05,0\n"));
  CHECK_THAT(gnuplot_script(*found), Catch::Contains("index 1 using 1:2 with lines") &&
                                         Catch::Contains("title 'transformer'"));
}

TEST_CASE("gnuplot draws every figure in every form") {
  if (!run_command({"gnuplot", "--version"}).good()) {
    WARN("skipped: gnuplot is not installed");
    return;
  }
  const fs::path folder =
      fs::temp_directory_path() / ("metascale-figures-" + std::to_string(std::random_device{}()));
  Report report = small_report();
  std::vector<Figure> figures = figures_of(report);
  REQUIRE(figures.size() >= 6);
  const auto problems = write_figures(report, folder);
  for (const std::string& problem : problems) FAIL_CHECK(problem);
  for (const Figure& figure : figures)
    for (const char* end : {".svg", ".pdf", ".png", "-double.svg", "-double.pdf", "-double.png"}) {
      INFO(figure.name << end);
      CHECK(fs::exists(folder / (figure.name + end)));
      CHECK(fs::file_size(folder / (figure.name + end)) > 1000);
    }
  for (const Figure& figure : figures) {
    expect_drawn(folder / (figure.name + ".pdf"), figure);
    expect_drawn(folder / (figure.name + "-double.pdf"), figure);
    expect_inside(folder / (figure.name + ".svg"));
    expect_inside(folder / (figure.name + "-double.svg"));
  }
  fs::remove_all(folder);
}
