// The curves of probes: what is drawn against what, and where it stands.
#include <algorithm>
#include <catch2/catch.hpp>

#include "analysis/figure.hpp"
#include "analysis/probe_curves.hpp"
#include "analysis/render_html.hpp"
#include "analysis/tables.hpp"
#include "tests/support/probe_fixture.hpp"

using namespace metascale;

namespace {

Report probe_report(std::vector<RunLog> logs = fixture::probe_logs()) {
  return analyse(fixture::collection_of(std::move(logs)),
                 {.bootstrap_pairs = 20, .bootstrap_fits = 5, .fit_starts = 10});
}

std::vector<ProbeCurves> curves_of(const Report& report, const std::string& task, ProbeAxis axis) {
  std::vector<ProbeCurves> found;
  for (const ProbeCurves& curves : probe_curves(report))
    if (curves.task == task && curves.axis == axis) found.push_back(curves);
  return found;
}

const ProbeLine& line_of(const ProbeCurves& curves, const std::string& arm) {
  const auto found = std::find_if(curves.lines.begin(), curves.lines.end(),
                                  [&](const ProbeLine& line) { return line.arm == arm; });
  if (found == curves.lines.end()) throw std::runtime_error("no line of " + arm);
  return *found;
}

std::size_t column(const Table& table, const std::string& key) {
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].key == key) return i;
  throw std::runtime_error("no column " + key);
}

}  // namespace

TEST_CASE("accuracy is drawn against the tested lengths, a curve for each model") {
  const auto found = curves_of(probe_report(), "s3", ProbeAxis::length);
  REQUIRE(found.size() == 2);  // of one layer and of two
  const ProbeCurves& deep = found[found[0].held.starts_with("2 layers") ? 0 : 1];
  CHECK(deep.held == "2 layers, width 64 (heads of 32), trained at 16 tokens");
  CHECK(deep.chance == Approx(1 / 6.0));
  REQUIRE(deep.lines.size() == 3);
  const ProbeLine& line = line_of(deep, "transformer");
  REQUIRE(line.points.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(line.points[i].x == double(16 << i));
    CHECK(line.points[i].seeds == 2);
    CHECK(line.points[i].share.value == Approx(0.95 / double(1 << i) - 0.015).margin(1e-3));
    CHECK(line.points[i].share.interval.low < line.points[i].share.value);
  }
}

TEST_CASE("accuracy is drawn against layers and pairs at the trained length") {
  const Report report = probe_report();
  const auto layers = curves_of(report, "s3", ProbeAxis::layers);
  REQUIRE(layers.size() == 1);
  const ProbeLine& deep = line_of(layers[0], "meta_state");
  REQUIRE(deep.points.size() == 2);
  CHECK(deep.points[0].x == 1);
  CHECK(deep.points[1].x == 2);
  CHECK(deep.points[1].share.value == 1);
  const auto pairs = curves_of(report, "mqar", ProbeAxis::pairs);
  REQUIRE(pairs.size() == 1);  // of the wide ones; the narrow have one load
  const ProbeLine& recall = line_of(pairs[0], "rwkv7");
  REQUIRE(recall.points.size() == 2);
  CHECK(recall.points[0].x == 4);
  CHECK(recall.points[1].x == 8);
  CHECK(recall.points[0].share.value > recall.points[1].share.value);
  CHECK(recall.points[1].tested == 64);
}

TEST_CASE("the numbers kept are those of the states, or of keys and values") {
  const auto found = curves_of(probe_report(), "mqar", ProbeAxis::state);
  REQUIRE(found.size() == 1);
  const ProbeLine& states = line_of(found[0], "rwkv7");
  REQUIRE(states.points.size() == 2);
  CHECK(states.points[0].x == 2 * 32 * 32);
  CHECK(states.points[1].x == 2 * 64 * 32);
  CHECK(line_of(found[0], "transformer").points[1].x == 2 * 2 * 64 * 64);
}

TEST_CASE("heads of the configuration decide how many numbers are kept") {
  std::vector<RunLog> logs = fixture::probe_logs();
  for (RunLog& log : logs) log.configuration += "model:\n  heads: 3\n";
  const auto found = curves_of(probe_report(std::move(logs)), "mqar", ProbeAxis::state);
  CHECK(found.empty());  // wide and narrow keep the same: nothing to draw
}

TEST_CASE("accuracy by distance is that of its bins") {
  const Report report = probe_report();
  const auto found = curves_of(report, "mqar", ProbeAxis::distance);
  REQUIRE(found.size() == 3 * 3);  // models by tested lengths
  const ProbeLine& line = line_of(found[0], "transformer");
  REQUIRE(line.points.size() == 2);
  CHECK(line.points[0].x == Approx(std::sqrt(1.0 * 32)));
  CHECK(line.points[1].x == Approx(std::sqrt(33.0 * 64)));
  const Table table = probe_distances_table(report);
  REQUIRE(table.rows.size() == 5 * 3 * 3 * 2);  // cells, arms, lengths, bins
  CHECK(table.rows[0][column(table, "first")].shown == "0");
  CHECK(table.rows[0][column(table, "last")].shown == "31");
  CHECK(std::stod(table.rows[0][column(table, "accuracy")].exact) == Approx(0.935).margin(1e-3));
}

TEST_CASE("the probes' table has layers, pairs, numbers kept and intervals") {
  const Table table = probes_table(probe_report());
  const auto& row = table.rows.front();
  CHECK(row[column(table, "task")].shown == "mqar");
  CHECK(row[column(table, "layers")].shown == "2");
  CHECK(row[column(table, "pairs")].shown == "4");
  CHECK(row[column(table, "state")].shown == std::to_string(2 * 2 * 64 * 64));
  CHECK(std::stod(row[column(table, "low")].shown) < 0.935);
  CHECK(std::stod(row[column(table, "high")].shown) > 0.935);
  CHECK(table.rows.back()[column(table, "pairs")].shown == "-");  // of s3
}

TEST_CASE("of cells that differ in nothing drawn, the one trained on most tokens counts") {
  std::vector<RunLog> logs = fixture::probe_logs();
  fixture::SweepTruth truth;
  fixture::ProbeCell again = fixture::probe_cells()[1];
  again.size = "s3.again";
  RunLog longer = fixture::probe_run_log(truth, truth.arms[0], again, 1);
  for (StepRow& step : longer.steps) step.tokens *= 2;
  longer.facts["batch_tokens"] = std::to_string(2 * std::stoll(longer.facts["batch_tokens"]));
  logs.push_back(longer);
  const auto found = curves_of(probe_report(std::move(logs)), "s3", ProbeAxis::length);
  REQUIRE(found.size() == 2);
  const ProbeCurves& deep = found[found[0].held.starts_with("2 layers") ? 0 : 1];
  const ProbeLine& line = line_of(deep, "transformer");
  REQUIRE(line.points.size() == 3);
  CHECK(line.points[0].size == "s3.again");
  CHECK_FALSE(line.points[0].share.interval.known());  // one seed
}

TEST_CASE("least layers are said for each length, or that none of those tried solved it") {
  const auto found = probe_depths(probe_report());
  const auto depth = [&](const std::string& task, const std::string& arm) {
    for (const ProbeDepth& each : found)
      if (each.task == task && each.arm == arm) return each;
    throw std::runtime_error("no depth of " + arm);
  };
  CHECK(depth("s3", "meta_state").least == 2);
  CHECK(depth("s3", "transformer").least == 0);
  CHECK(depth("s3", "transformer").tried_words() == "1, 2");
}

TEST_CASE("least layers are drawn against the trained length, of each width apart") {
  const Report report = probe_report(fixture::depth_logs());
  const auto found = depth_curves(report);
  REQUIRE(found.size() == 2);
  CHECK(found[0].held == "width 32 (heads of 32)");
  CHECK(found[1].held == "width 64 (heads of 32)");
  const auto drawn = [](const DepthCurves& curves, const std::string& arm) {
    std::vector<std::vector<std::int64_t>> points;  // length, layers, whether solved
    for (const DepthLine& line : curves.lines)
      if (line.arm == arm)
        for (const DepthPoint& point : line.points)
          points.push_back({point.trained, point.drawn(), point.least > 0});
    return points;
  };
  using Points = std::vector<std::vector<std::int64_t>>;
  CHECK(drawn(found[1], "meta_state") == Points{{8, 1, 1}, {16, 2, 1}});
  CHECK(drawn(found[0], "meta_state") == Points{{8, 4, 1}, {16, 4, 1}});
  CHECK(drawn(found[1], "rwkv7") == Points{{8, 2, 1}, {16, 4, 0}});
  CHECK(drawn(found[1], "transformer") == Points{{8, 4, 0}, {16, 4, 0}});
}

TEST_CASE("least layers have a figure, with open marks where none of them solved a length") {
  const auto figures = figures_of(probe_report(fixture::depth_logs()));
  const auto figure = std::find_if(figures.begin(), figures.end(), [](const Figure& one) {
    return one.name == "probe-s3-by-depth";
  });
  REQUIRE(figure != figures.end());
  CHECK_THAT(figure->settings, Catch::Contains("Least layers") && Catch::Contains("width 64"));
  CHECK(figure->data == "8,nan,4\n16,nan,4\n\n\n8,2,nan\n16,nan,4\n\n\n8,1,nan\n16,2,nan\n");
  REQUIRE(figure->plots.size() == 4);  // the Transformer has open marks only, RWKV-7 both
  CHECK_THAT(figure->plots[0], Catch::Contains(":3 with points") &&
                                   Catch::Contains("title 'transformer'") &&
                                   Catch::Contains("pt 6"));
  CHECK_THAT(figure->plots[1], Catch::Contains(":2 with linespoints"));
  CHECK_THAT(figure->plots[2], Catch::Contains("notitle"));
}

TEST_CASE("the widths of models that solved a probe stand in its table, and do not merge") {
  const Table table = probe_depths_table(probe_report(fixture::depth_logs()));
  REQUIRE(table.rows.size() == 2 * 2 * 3);  // widths, lengths, arms
  CHECK(table.rows.front()[column(table, "width")].shown == "32");
  CHECK(table.rows.back()[column(table, "width")].shown == "64");
}

TEST_CASE("each task has a figure against each axis, and a report on texts has none") {
  std::vector<std::string> names;
  for (const Figure& figure : figures_of(probe_report()))
    if (figure.name.starts_with("probe-")) names.push_back(figure.name);
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"probe-mqar-by-length", "probe-mqar-by-pairs",
                                          "probe-mqar-by-state", "probe-s3-by-layers",
                                          "probe-s3-by-length"});
  fixture::SweepTruth truth;
  truth.sizes = {{"1M", 1e6}}, truth.seeds = 1, truth.documents = 20;
  const Report texts = probe_report(fixture::sweep_logs(truth));
  CHECK(probe_curves(texts).empty());
  CHECK(render_html(texts).find("id=\"chart-probes\"") == std::string::npos);
}
