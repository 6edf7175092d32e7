#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "analysis/render_json.hpp"
#include "analysis/support/csv.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"
#include "tests/support/probe_fixture.hpp"

using namespace metascale;

namespace {

Report small_report() {
  fixture::SweepTruth truth;
  truth.sizes.resize(2), truth.seeds = 2, truth.steps = 20, truth.documents = 24;
  return analyse(fixture::collection_of(fixture::sweep_logs(truth)),
                 {.bootstrap_pairs = 100, .bootstrap_fits = 20});
}

}  // namespace

TEST_CASE("every table is rectangular and its CSV reads back") {
  const Report report = small_report();
  for (const Table& table : all_tables(report)) {
    INFO(table.key);
    for (const auto& row : table.rows) CHECK(row.size() == table.columns.size());
    CHECK(parse_csv(to_csv(table), table.key).rows.size() == table.rows.size());
  }
}

TEST_CASE("CSV holds numbers in full where the page rounds") {
  const Report report = small_report();
  const Csv csv = parse_csv(to_csv(cells_table(report)), "cells");
  const std::size_t column = csv.column("nats_per_token");
  CHECK(std::stod(csv.rows[0].cells[column]) == report.cells[0].loss);
  CHECK(cells_table(report).rows[0][column].shown == fixed(report.cells[0].loss, 4));
}

TEST_CASE("tables of losses say how they were evaluated, in their files and captions") {
  const Report report = small_report();
  const std::string words =
      "Losses are nats per token, evaluated on test, packed windows of 512, tokenizer bytes";
  CHECK(report.scored == words);
  CHECK(report.tokenizer == "tokenizer bytes");
  for (const Table& table :
       {cells_table(report), pairs_table(report), domains_table(report), residuals_table(report)}) {
    CAPTURE(table.key);
    CHECK_THAT(table.caption, Catch::Contains(words));
    const Csv csv = parse_csv(to_csv(table), table.key);
    REQUIRE_FALSE(csv.rows.empty());
    CHECK(csv.rows[0].cells[csv.column("split")] == "test");
    CHECK(csv.rows[0].cells[csv.column("protocol")] == "packed_windows");
    CHECK(csv.rows[0].cells[csv.column("tokenizer")] == report.cells[0].runs[0]->tokenizer());
    CHECK(to_html(table).find("<th scope=\"col\">protocol") == std::string::npos);
  }
  for (const Table& table : {comparison_table(report), fits_table(report), gains_table(report),
                             joint_fits_table(report), isoflop_table(report)})
    CHECK_THAT(table.caption, Catch::EndsWith(words));
  CHECK_THAT(to_latex(comparison_table(report)), Catch::Contains(words + "\n"));
}

TEST_CASE("captions say mixed for what not all runs agree in, and nothing where none is done") {
  const auto scored_with = [](const std::function<void(RunLog&)>& change) {
    fixture::SweepTruth truth;
    truth.sizes.resize(2), truth.arms.resize(2), truth.seeds = 1, truth.steps = 10;
    truth.documents = 12;
    std::vector<RunLog> logs = fixture::sweep_logs(truth);
    change(logs.front());
    const Report report =
        analyse(fixture::collection_of(std::move(logs)), {.bootstrap_pairs = 20, .fit_starts = 20});
    return report.scored + "; " + report.tokenizer;
  };
  const auto last = [](RunLog& log) -> Evaluation& { return log.evaluations.back(); };
  const std::string all = "Losses are nats per token, evaluated on ";
  CHECK(scored_with([](RunLog& log) { log.facts["tokenizer"] = "bpe v2:abc"; }) ==
        all + "test, packed windows of 512, mixed tokenizers; mixed tokenizers");
  CHECK(scored_with([](RunLog& log) { log.facts["context"] = "64"; }) ==
        all + "test, packed windows of mixed lengths, tokenizer bytes; tokenizer bytes");
  CHECK(scored_with([&](RunLog& log) { last(log).protocol = "documents"; }) ==
        all + "test, mixed protocols, tokenizer bytes; tokenizer bytes");
  CHECK(scored_with([&](RunLog& log) { last(log).split = "validation"; }) ==
        all + "mixed splits, packed windows of 512, tokenizer bytes; tokenizer bytes");
  CHECK(scored_with([&](RunLog& log) { last(log).coverage = "64 of 812 windows"; }) ==
        all + "test, packed windows of 512, mixed coverage, tokenizer bytes; tokenizer bytes");
  CHECK(analyse(fixture::collection_of({}), {}).scored.empty());
  CHECK(analyse(fixture::collection_of(fixture::probe_logs()), {.bootstrap_pairs = 20})
            .scored.empty());
}

TEST_CASE("in the mean of domains each counts alike, whatever its tokens") {
  fixture::SweepTruth truth;
  truth.sizes.resize(1), truth.arms.resize(1), truth.seeds = 1, truth.steps = 10;
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  Evaluation& evaluation = logs[0].evaluations.back();
  REQUIRE(evaluation.is_final);
  evaluation.domains = {{"large", 900, 3600, 1800}, {"small", 100, 200, 300}, {"none", 0, 0, 0}};
  const Report report = analyse(fixture::collection_of(std::move(logs)),
                                {.bootstrap_pairs = 100, .bootstrap_fits = 20});
  const Csv csv = parse_csv(to_csv(cells_table(report)), "cells");
  const auto value = [&](const char* column) {
    return std::stod(csv.rows.at(0).cells[csv.column(column)]);
  };
  CHECK(value("domain_mean_nats_per_token") == Approx((2.0 + 3.0) / 2));
  CHECK(value("domain_mean_bits_per_byte") == Approx((0.5 + 1.5) / 2 / std::log(2.0)));
  CHECK(std::isnan(value("pile_weighted_bits_per_byte")));
}

TEST_CASE("domains of The Pile are weighed as it weighs their bytes too") {
  fixture::SweepTruth truth;
  truth.sizes.resize(1), truth.arms.resize(1), truth.seeds = 2, truth.steps = 10;
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs)
    log.evaluations.back().domains = {{"Pile-CC", 900, 3600, 1800}, {"ArXiv", 100, 200, 300}};
  logs[1].evaluations.back().domains[0].nats = 3600;
  const Report report = analyse(fixture::collection_of(std::move(logs)),
                                {.bootstrap_pairs = 100, .bootstrap_fits = 20});
  const Csv csv = parse_csv(to_csv(cells_table(report)), "cells");
  const double mean = std::stod(csv.rows.at(0).cells[csv.column("pile_weighted_bits_per_byte")]);
  CHECK(mean * std::log(2.0) == Approx((18.11 * 0.75 + 8.96 * 1.5) / (18.11 + 8.96)));
}

TEST_CASE("the comparison has one row per size and a difference per arm") {
  const Table table = comparison_table(small_report());
  CHECK(table.rows.size() == 2);
  CHECK(table.columns.size() == 2 + 3 + 2 + 1);
}

TEST_CASE("what is dangerous in a format is escaped") {
  CHECK(html_escape("<a href='x'>&\"") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
  CHECK(csv_escape("a,\"b\"") == "\"a,\"\"b\"\"\"");
  CHECK(markdown_escape("a|b\n<c>") == "a\\|b &lt;c>");
  CHECK(markdown_escape("![t](http://x/y.png)") == "\\!\\[t\\](http://x/y.png)");
  CHECK(markdown_escape("\\| &lt;") == "\\\\\\| &amp;lt;");
  CHECK(latex_escape("50% & a_b") == "50\\% \\& a\\_b");
  CHECK(latex_escape("a\r\n\\input{b}") == "a  \\textbackslash{}input\\{b\\}");
  CHECK(latex_escape("<a>\x1b") == "\\textless{}a\\textgreater{} ");
  CHECK(slug("../a b") == "---a-b");
}

TEST_CASE("a spreadsheet computes nothing of a table's text") {
  CHECK(csv_escape("=1+1") == "'=1+1");
  CHECK(csv_escape("@SUM(A1)") == "'@SUM(A1)");
  CHECK(csv_escape("\t=1") == "'\t=1");
  CHECK(csv_escape("-2+3+cmd|' /C calc'!A0") == "'-2+3+cmd|' /C calc'!A0");
  CHECK(csv_escape("+HYPERLINK(\"http://x\",\"y\")") ==
        "\"'+HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
  for (const char* harmless : {"", "-", "-1", "-1.5e-7", "+1.24 %", "-inf", "-nan", "1e+20", "a=b",
                               "rwkv7-36k-1xC-s1-0123abcd"})
    CHECK(csv_escape(harmless) == harmless);
}

TEST_CASE("a caption does not end the comment that it stands in") {
  const Table table{"t", "arm \n\\input{/etc/passwd}\r\\x", {{"a", "A", false}}, {{{"x"}}}};
  const std::string latex = to_latex(table);
  CHECK(latex.starts_with("% arm  \\textbackslash{}input\\{/etc/passwd\\} \\textbackslash{}x\n"));
  CHECK(latex.find("\n\\input") == std::string::npos);
}

TEST_CASE("numbers are written as people read them") {
  CHECK(short_count(151.9e6) == "151.9M");
  CHECK(short_count(3.2e9) == "3.20B");
  CHECK(short_count(999.9e6) == "1.00B");
  CHECK(scientific(3.2e18) == "3.20e18");
  CHECK(scientific(999.99999e15) == "1.00e18");
  CHECK(factor(1.254) == "1.25");
  CHECK(factor(5.3e75) == "5.30e75");
  CHECK(factor(0.00012) == "1.20e-4");
  CHECK(percent(-0.0124) == "-1.24 %");
  CHECK(duration_text(0.5) == "30.0 min");
  CHECK(fixed(std::nan(""), 3) == "-");
}

TEST_CASE("lengths are shown with a space where their label has a unit") {
  CHECK(length_words("400ktokens") == "400k tokens");
  CHECK(length_words("1e20flop") == "1e20 flop");
  CHECK(length_words("1xC") == "1xC");
  CHECK(length_words("tokens") == "tokens");
  CHECK(length_words("400k tokens") == "400k tokens");
  CHECK(length_words("307200tokens") == "307.2k tokens");
  CHECK(length_words("307215tokens") == "307215 tokens");  // four digits would not say it
  CHECK(length_words("307200tokens.added") == "307.2k tokens, added");
  CHECK(length_words("512steps") == "512 steps");
}

TEST_CASE("what stands below a row is a line of its own on the page, and a column elsewhere") {
  const Table table{"t",
                    "caption",
                    {{"a", "A", false},
                     {"b", "B"},
                     {.key = "why", .title = "Why", .numeric = false, .wide = true, .below = true}},
                    {{{"x"}, {"1"}, {"<long>", "", "bad"}}, {{"y"}, {"2"}, {""}}}};
  const std::string html = to_html(table);
  CHECK(html.find("<th scope=\"col\">Why") == std::string::npos);
  CHECK(html.find("<tr class=\"below\"><td class=\"wide tone-bad\" colspan=\"2\"><b>Why</b> "
                  "&lt;long&gt;</td></tr>") != std::string::npos);
  CHECK(html.find("class=\"below\"") == html.rfind("class=\"below\""));
  CHECK(to_csv(table) == "a,b,why\nx,1,<long>\ny,2,\n");
}

TEST_CASE("a law's prediction at twice the largest x stands before its coefficients") {
  const Report report = small_report();
  const Table table = fits_table(report);
  std::vector<std::string> keys;
  for (const TableColumn& column : table.columns) keys.push_back(column.key);
  const auto place = [&](const char* key) { return std::find(keys.begin(), keys.end(), key); };
  REQUIRE(place("prediction") != keys.end());
  CHECK(place("prediction") < place("coefficients"));
  const std::string shown =
      table.rows.at(0).at(std::size_t(place("prediction") - keys.begin())).shown;
  CHECK_THAT(shown, Catch::Contains(" [") && Catch::Contains("] at 4.80e6"));  // 2 x 0.8 x 3M
}

TEST_CASE("the table of pairs and fits.json tell the residual mismatch of each pair") {
  Report report = small_report();
  const auto cell = [&] {
    const Csv csv = parse_csv(to_csv(pairs_table(report)), "pairs");
    return csv.rows.at(0).cells[csv.column("residual_mismatch")];
  };
  CHECK(cell() == "nan");  // these logs are of before 2026-11-22
  report.matching.pairs.at(0).residual = 0.00123456;
  CHECK(std::stod(cell()) == 0.00123456);
  CHECK_THAT(to_html(pairs_table(report)),
             Catch::Contains("Residual mismatch") && Catch::Contains("+0.123"));
  CHECK_THAT(render_json(report), Catch::Contains("\"residual_mismatch\": 0.00123456"));
}

TEST_CASE("an interval without a bound says so") {
  CHECK(interval_text({-0.01, std::numeric_limits<double>::infinity()}, 2, 100) ==
        "[-1.00, unbounded]");
}

TEST_CASE("tables that only some reports have are known by name") {
  std::vector<RunLog> probes = fixture::probe_logs();
  for (RunLog& log : fixture::lineage_logs()) probes.push_back(std::move(log));
  const Report plain = small_report();
  const Report special = analyse(fixture::collection_of(std::move(probes)),
                                 {.bootstrap_pairs = 50, .bootstrap_fits = 0, .isoflop = true});
  std::set<std::string> usual;
  for (const Table& table : all_tables(plain)) usual.insert(table.key);
  const auto& known = tables_of_some_reports();
  for (const std::string& key : known) CHECK_FALSE(usual.contains(key));
  std::size_t more = 0;
  for (const Table& table : all_tables(special)) {
    if (usual.contains(table.key)) continue;
    CAPTURE(table.key);
    CHECK(std::count(known.begin(), known.end(), table.key) == 1);
    ++more;
  }
  CHECK(more >= known.size() - 2);  // all but those of context.json
}
