#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <random>
#include <set>

#include "analysis/figure.hpp"
#include "analysis/figures/drawing.hpp"
#include "core/command.hpp"
#include "tests/analysis/drawn_pdf.hpp"
#include "tests/support/probe_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

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

Report small_report(int seeds = 1) {
  fixture::SweepTruth truth;
  truth.sizes.resize(3), truth.seeds = seeds, truth.steps = 30, truth.documents = 24;
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

TEST_CASE("a logarithmic axis has three labels or more, and no more than one column has room for") {
  const auto labels = [](const std::string& words) {  // behind "tics", but minor ones
    std::vector<std::string> found;
    for (std::size_t at = words.find("tics (") + 6; at < words.size();
         at = words.find(", ", at) + 2) {
      const std::size_t end = words.find('\'', at + 1);
      if (end > at + 1) found.push_back(words.substr(at + 1, end - at - 1));
      if (words.find(", ", at) == words.npos) break;
    }
    return found;
  };
  using Labels = std::vector<std::string>;
  CHECK(labels(log_axis('x', 1e4, 1e6, TicWords::counts)) == Labels{"10k", "100k", "1M"});
  CHECK(labels(log_axis('x', 2e4, 3.5e5, TicWords::counts)) == Labels{"30k", "100k", "300k"});
  CHECK(labels(log_axis('y', 9e8, 2.5e9, TicWords::counts)) == Labels{"1B", "1.5B", "2B"});
  CHECK(labels(log_axis('x', 2e14, 4e15, TicWords::powers)) == Labels{"3\xC2\xB7"
                                                                      "10^{14}",
                                                                      "10^{15}",
                                                                      "3\xC2\xB7"
                                                                      "10^{15}"});
  CHECK(labels(log_axis('x', 1e3, 1e24, TicWords::powers)).size() <= 7);
  for (const double span : {1.5, 1.7, 3.0, 9.0, 30.0, 99.0, 300.0, 1e6})
    for (const double low : {1.0e15, 1.3e15, 2.4e15, 6.1e15, 9.9e15}) {
      CAPTURE(low, span);
      const std::size_t count = labels(log_axis('x', low, span * low, TicWords::powers)).size();
      CHECK((count >= 3 && count <= 7));
    }
  CHECK_THAT(log_axis('x', 2e4, 3.5e5, TicWords::counts),
             Catch::StartsWith("set logscale x\nset xrange [20000:350000]\n"));
  CHECK(log_axis('x', 0, 1, TicWords::counts).empty());
  CHECK(log_axis('x', 1, INFINITY, TicWords::counts).empty());
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

TEST_CASE("a difference without an interval has no whisker, and nan in its data") {
  const std::vector<Figure> figures = figures_of(small_report());  // four documents in each domain
  const auto named = [&](const char* name) -> const Figure& {
    return *std::find_if(figures.begin(), figures.end(),
                         [&](const Figure& figure) { return figure.name == name; });
  };
  const std::string domains = named("domains").data;
  CHECK_THAT(domains, Catch::Contains(",nan,nan,books\n"));
  CHECK_THAT(gnuplot_script(named("domains")),
             !Catch::Contains("xerrorbars") && Catch::Contains("with points"));
  CHECK_THAT(named("paired-differences").data, !Catch::Contains("nan"));
  CHECK_THAT(gnuplot_script(named("paired-differences")), Catch::Contains("xerrorbars"));
  CHECK_THAT(named("loss-by-size-1xC").data, Catch::Contains(",nan"));  // of one seed
}

TEST_CASE("eight sizes and their lengths are told apart in one figure") {
  fixture::SweepTruth truth;
  truth.arms.resize(1), truth.lengths = {"1xC", "1xC.added"};
  truth.seeds = 1, truth.steps = 30, truth.documents = 12;
  truth.sizes.clear();
  for (int i = 1; i <= 8; ++i) truth.sizes.emplace_back(std::to_string(i) + "M", i * 1e6);
  const Report report = analyse(fixture::collection_of(fixture::sweep_logs(truth)),
                                {.bootstrap_pairs = 50, .bootstrap_fits = 0, .fit_starts = 20});
  std::set<std::string> dashes, styles;
  for (const std::string& size : report.sizes()) dashes.insert(dash_of(report, size));
  for (const std::string& length : report.lengths())
    styles.insert(curve_style_of(report, length, 80));
  CHECK(dashes.size() == 8);
  CHECK(styles == std::set<std::string>{"lines", "linespoints pt 7 ps mark*1.1 pi 10"});
  const std::vector<Figure> figures = figures_of(report);
  const auto curves = std::find_if(figures.begin(), figures.end(), [](const Figure& figure) {
    return figure.name == "curves-by-tokens";
  });
  REQUIRE(curves != figures.end());
  std::set<std::string> drawn;
  for (const std::string& plot : curves->plots)
    if (const std::size_t at = plot.find(" with l"); plot.find("using 1:2 ") != plot.npos)
      drawn.insert(plot.substr(at));
  CHECK(drawn.size() == 16);
  CHECK_THAT(gnuplot_script(*curves), !Catch::Contains("filledcurves"));  // of single runs
}

TEST_CASE("every figure's caption says what it shows, and of losses how they were made") {
  const Report report = small_report();
  const std::vector<Figure> figures = figures_of(report);
  for (const Figure& figure : figures) {
    CAPTURE(figure.name, figure.caption);
    CHECK_FALSE(figure.caption.empty());
    CHECK_FALSE(figure.caption.ends_with("."));
    if (figure.name.starts_with("curves-"))
      CHECK_THAT(figure.caption,
                 Catch::EndsWith("nats per token of each step's batch, smoothed, tokenizer bytes"));
    else if (figure.name != "generation-memory")
      CHECK_THAT(figure.caption, Catch::EndsWith(report.scored));
    CHECK_THAT(gnuplot_script(figure), Catch::Contains("\n# " + figure.caption + ".\n"));
  }
  const std::string latex = latex_of(figures);
  CHECK_THAT(latex, Catch::Contains("\\includegraphics{loss-by-size-1xC.pdf}") &&
                        Catch::Contains("\\label{fig:loss-by-size-1xC}") &&
                        Catch::Contains("95 \\% intervals") && !Catch::Contains("95 % "));
}

TEST_CASE("a caption cannot leave its comment in a script") {
  const std::string script = gnuplot_script({"x", "", "", {"x"}, "one\nsystem('rm')\rtwo"});
  CHECK_THAT(script, Catch::Contains("\n# one system('rm') two.\n"));
}

TEST_CASE("a key names no model from scratch where the lineage has none beside it") {
  std::vector<RunLog> logs = fixture::lineage_logs();
  const auto lineage_figure = [](const std::vector<RunLog>& some) {
    for (const Figure& figure : figures_of(
             analyse(fixture::collection_of(some), {.bootstrap_pairs = 50, .bootstrap_fits = 0})))
      if (figure.name == "lineage") return gnuplot_script(figure);
    return std::string();
  };
  CHECK_THAT(lineage_figure(logs),
             Catch::Contains("equal total") && Catch::Contains("equal additional"));
  std::erase_if(logs, [](const RunLog& log) { return log.facts.contains("scratch_partner_of"); });
  CHECK_THAT(lineage_figure(logs), Catch::Contains("title 'grown") && !Catch::Contains("scratch"));
}

TEST_CASE("figures that an earlier report has drawn are removed, and nothing of anybody else's") {
  const testing::TemporaryFolder temporary;
  const fs::path folder = temporary.path() / "figures";
  fs::create_directories(folder);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / name) << text;
  };
  for (const char* name :
       {"old.csv", "old.svg", "old-double.png", "mine.png", "mine.csv", "now.pdf"})
    write(name, "x");
  write("old.gp", gnuplot_script({"old", "", "", {"x"}}));
  write("now.gp", gnuplot_script({"now", "", "", {"x"}}));
  write("figures.tex", latex_of({}));
  write("mine.gp", "plot x\n");
  write("linked.svg", "x");
  fs::create_symlink("mine.gp", folder / "linked.gp");
  fs::create_symlink("mine.png", folder / "old.png");
  remove_other_figures(folder, {"now"});
  for (const char* name : {"old.csv", "old.svg", "old-double.png", "old.gp"}) {
    CAPTURE(name);
    CHECK_FALSE(fs::exists(folder / name));
  }
  for (const char* name : {"mine.gp", "mine.png", "mine.csv", "now.pdf", "now.gp", "linked.svg",
                           "linked.gp", "old.png"}) {
    CAPTURE(name);
    CHECK(fs::exists(folder / name));
  }
  CHECK(fs::exists(folder / "figures.tex"));
  remove_other_figures(folder, {});
  CHECK_FALSE(fs::exists(folder / "figures.tex"));
  write("figures.tex", "% mine");
  write("now.gp", gnuplot_script({"now", "", "", {"x"}}));
  remove_other_figures(folder, {"now"});
  CHECK(fs::exists(folder / "figures.tex"));
  fs::create_directory_symlink("figures", temporary.path() / "link");
  remove_other_figures(temporary.path() / "link", {});
  CHECK(fs::exists(folder / "now.gp"));
}

TEST_CASE("gnuplot draws every figure in every form") {
  if (!run_command({"gnuplot", "--version"}).good()) {
    WARN("skipped: gnuplot is not installed");
    return;
  }
  const fs::path folder =
      fs::temp_directory_path() / ("metascale-figures-" + std::to_string(std::random_device{}()));
  Report report = small_report(2);
  std::vector<Figure> figures = figures_of(report);
  REQUIRE(figures.size() >= 6);
  const auto problems = write_figures(figures, folder);
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
