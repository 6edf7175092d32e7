#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "analysis/figure.hpp"
#include "analysis/figures/drawing.hpp"
#include "core/command.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;
namespace fs = std::filesystem;

namespace {

Report small_report() {
  fixture::SweepTruth truth;
  truth.sizes.resize(3), truth.seeds = 1, truth.steps = 30, truth.documents = 24;
  truth.arms[2].arm = "it's `rm -rf`; \"$HOME\"";
  return analyse(fixture::collection_of(fixture::sweep_logs(truth)),
                 {.bootstrap_pairs = 100, .bootstrap_fits = 20});
}

}  // namespace

TEST_CASE("a name cannot leave its gnuplot string") {
  CHECK(gnuplot_text("it's\nsystem('rm')") == "'it''s system(''rm'')'");
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
  fs::remove_all(folder);
}
