#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "analysis/fit_table.hpp"
#include "analysis/support/csv.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

using namespace metascale;

namespace {

class Table {
 public:
  explicit Table(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              ("metascale-table-" + std::to_string(std::random_device{}()) + ".csv")) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~Table() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

FitTableOptions loglog_options() {
  FitTableOptions options;
  options.law = "loglog", options.parameters = "n", options.loss = "loss";
  options.fit.draws = 40;
  return options;
}

}  // namespace

TEST_CASE("a table with CRLF, quotes and a byte order mark is read") {
  const Csv table = parse_csv(
      "\xEF\xBB\xBF"
      "name,x\r\n\"a, \"\"b\"\"\",1\r\nc,2\r\n",
      "t.csv");
  CHECK(table.columns == std::vector<std::string>{"name", "x"});
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0].cells[0] == "a, \"b\"");
  CHECK(table.rows[1].cells[1] == "2");
  CHECK(table.rows[1].line == 3);
}

TEST_CASE("a fit of a table has its coefficients in JSON and in words") {
  const Table table("n,loss\n100,3\n1000,1.5\n10000,0.75\n");
  const FitTableResult result = fit_table(table.path(), loglog_options());
  const auto json = nlohmann::json::parse(result.json());
  CHECK(json["law"] == "loglog");
  CHECK(double(json["coefficients"]["alpha"]) == Approx(std::log10(2.0)));
  CHECK(json["intervals"].contains("A"));
  CHECK_THAT(result.text(), Catch::Contains("alpha"));
  CHECK_FALSE(result.healthy());
  CHECK_THAT(result.text(), Catch::Contains("RED"));
  CHECK(double(json["prediction"]["value"]) == Approx(0.75 * std::pow(2, -std::log10(2.0))));
  CHECK(json["prediction"]["interval"][0].is_number());
  CHECK(result.text().find("predicts") < result.text().find("alpha"));
}

TEST_CASE("rows without a number are left out with a note") {
  const Table table(
      "n,loss\n100,3\n1000,1.5\n5000,nan\n7000,\n1,-NaN\n2,+nan\n3,NAN\n4,NA\n5,n/a\nN/A,2\n"
      "10000,0.75\n");
  CHECK(fit_table(table.path(), loglog_options()).notes.size() == 8);
}

TEST_CASE("a table that is damaged is refused with its line") {
  const auto refuse = [](const std::string& text, const std::string& words) {
    const Table table(text);
    CHECK_THROWS_WITH(fit_table(table.path(), loglog_options()), Catch::Contains(words));
  };
  refuse("", "the table is empty");
  refuse("n,loss\n100\n", ":2: the row has 1 cells");
  refuse("n,loss\n100,three\n", ":2: loss: 'three' is not a number");
  refuse("n,loss\n100,\"3\n", ":2: a quoted cell is never closed");
  refuse("n,loss\n100,\"3.0\"1000,2.9\n", ":2: text follows the quote that ends a cell");
  refuse("n;loss\n100;3\n", "separated by semicolons");
  refuse("n\tloss\n100\t3\n", "separated by tabs");
  refuse(std::string("n\0,\0l\0", 6), "UTF-16");
  refuse("\xFF\xFEn", "UTF-16");
  refuse("n,loss,loss\n100,3,2\n", "several columns are called 'loss'");
  refuse("m,loss\n100,3\n", "there is no column 'n'; there are: m, loss");
}

TEST_CASE("columns that do not suit the law are a usage error") {
  const Table table("n,loss\n100,3\n1000,1.5\n");
  FitTableOptions options = loglog_options();
  options.law = GENERATE("chinchilla", "tied", "isoflop", "cubic");
  CHECK_THROWS_AS(fit_table(table.path(), options), Error);
}

TEST_CASE("sizes of a parabola are refused for a law without one") {
  const Table table("n,loss\n100,3\n1000,1.5\n10000,0.75\n");
  FitTableOptions options = loglog_options();
  options.nearest = 5;
  CHECK_THROWS_WITH(fit_table(table.path(), options), Catch::Contains("--law is loglog"));
}

TEST_CASE("the influence of a large table's rows is left out, in words and in JSON") {
  std::string text = "n,loss\n";
  for (int i = 0; i <= int(most_influences); ++i)
    text += concat(1e6 + 1e5 * i, ",", 3 + 1.0 / (1 + i), "\n");
  const Table table(text);
  FitTableOptions options = loglog_options();
  options.fit.draws = 0;
  const FitTableResult result = fit_table(table.path(), options);
  CHECK_THAT(result.text(), Catch::Contains("influence of single rows was left out: 257 distinct"));
  CHECK(nlohmann::json::parse(result.json())["influence"].is_null());
  CHECK(nlohmann::json::parse(result.json()).contains("influence"));
}

TEST_CASE("isoFLOP takes no column of roles: a held-out row would be fitted") {
  const Table table("c,n,loss,role\n1e18,1e6,3,fit\n1e18,2e6,2.9,held_out\n1e18,4e6,3,fit\n");
  FitTableOptions options{.law = "isoflop", .parameters = "n", .flops = "c", .role = "role"};
  options.fit.draws = 0;
  CHECK_THROWS_WITH(fit_table(table.path(), options), Catch::Contains("leave out --role"));
  options.role.clear();
  CHECK(fit_table(table.path(), options).isoflop->budgets.at(0).parameters == Approx(2e6));
}

TEST_CASE("a table of two arms is fitted under one law, the first named being compared with") {
  std::string text = "arm,n,d,loss\n";
  for (const double size : {1e7, 1e8, 1e9, 1e10})
    for (const double ratio : {5.0, 40.0, 320.0})
      for (const bool better : {false, true})
        text += concat(better ? "new," : "old,", size, ",", ratio * size, ",",
                       1.69 + (better ? 0.8 : 1.0) * 406.4 * std::pow(size, -0.34) +
                           (better ? 0.9 : 1.0) * 410.7 * std::pow(ratio * size, -0.28),
                       "\n");
  const Table table(text);
  FitTableOptions options{.law = "chinchilla", .parameters = "n", .tokens = "d", .arm = "arm"};
  options.fit.draws = 40, options.fit.starts = 300;
  const FitTableResult result = fit_table(table.path(), options);
  const auto json = nlohmann::json::parse(result.json());
  CHECK(json["law"] == "chinchilla");
  CHECK(json["first"] == "old");
  CHECK(double(json["ratio_a"]) == Approx(0.8).epsilon(0.02));
  CHECK(double(json["ratio_b"]) == Approx(0.9).epsilon(0.02));
  CHECK(json["intervals"].contains("A_second"));
  CHECK_THAT(result.text(), Catch::Contains("old and new") && Catch::Contains("B ratio"));

  options.law = "tied";
  CHECK_THROWS_WITH(fit_table(table.path(), options), Catch::Contains("--law is tied"));
  options.law = "chinchilla", options.where = "arm=old";
  CHECK_THROWS_WITH(fit_table(table.path(), options), Catch::Contains("names 1 arms"));
}

TEST_CASE("rows of one x are runs of one cell, unless a column says which are") {
  std::string text = "n,loss,place\n";
  for (int i = 0; i < 6; ++i)
    for (const double factor : {0.99, 1.0, 1.01})
      text +=
          concat(std::pow(4, i) * 1e6, ",", factor * 5 * std::pow(4, -0.1 * i), ",", 3 * i, "\n");
  const Table table(text);
  FitTableOptions options = loglog_options();
  const FitTableResult result = fit_table(table.path(), options);
  CHECK(result.fit->cells == 6);
  CHECK_FALSE(result.fit->parametric_bootstrap);  // the seeds' own noise is drawn
  CHECK(result.fit->noise == Approx(0.01).epsilon(0.01));
  CHECK_THAT(result.text(), Catch::Contains("interval unreliable: 6 cells"));
  options.cell = "loss";
  CHECK(fit_table(table.path(), options).fit->cells == 18);
}

TEST_CASE("a bootstrap of too few draws for an interval is refused") {
  const Table table("n,loss\n100,3\n1000,1.5\n10000,0.75\n");
  FitTableOptions options = loglog_options();
  options.fit.draws = GENERATE(1, 2, fewest_draws - 1);
  CHECK_THROWS_WITH(fit_table(table.path(), options),
                    Catch::Contains("give 40 or more, or 0 for none"));
}

TEST_CASE("a good fit without a bootstrap says how far it was judged") {
  std::string text = "n,loss\n";
  for (const double size : {1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9})
    text += concat(exact(size), ",", exact(1.7 + 60 * std::pow(size, -0.28)), "\n");
  const Table table(text);
  FitTableOptions options{.law = "power", .parameters = "n"};
  options.fit.draws = 0;
  const FitTableResult result = fit_table(table.path(), options);
  const std::string words = "good, as far as it is judged without a bootstrap";
  CHECK(result.healthy());
  CHECK_THAT(result.text(), Catch::Contains("health      " + words));
  CHECK(nlohmann::json::parse(result.json())["health"] == words);
}

TEST_CASE("an unknown law is refused with all that there are") {
  const Table table("n,loss\n100,3\n1000,1.5\n");
  FitTableOptions options = loglog_options();
  options.law = "cubic";
  CHECK_THROWS_WITH(fit_table(table.path(), options),
                    Catch::Contains("give loglog, power, chinchilla, tied, or isoflop"));
}

TEST_CASE("FLOPs that differ by rounding are one isoFLOP budget, and told so") {
  std::string text = "c,n,loss\n";
  int row = 0;
  for (const double flops : {1e17, 1e18, 1e19, 1e20, 1e21})
    for (const double factor : {0.25, 0.5, 0.9, 2.0, 4.0})
      text += concat(exact(flops * (1 + 0.01 * (row++ % 5 - 2) / 2)), ",",
                     exact(factor * 0.1 * std::sqrt(flops)), ",",
                     exact(3 + 0.1 * std::pow(std::log(factor), 2)), "\n");
  const Table table(text);
  FitTableOptions options{.law = "isoflop", .parameters = "n", .flops = "c"};
  options.fit.draws = 0;
  const FitTableResult result = fit_table(table.path(), options);
  REQUIRE(result.isoflop->budgets.size() == 5);
  CHECK(result.isoflop->budgets[0].flops == Approx(1e17).epsilon(1e-3));
  CHECK(result.isoflop->exponent == Approx(0.5));
  REQUIRE(result.notes.size() == 1);
  CHECK_THAT(result.notes[0], Catch::Contains("differ by up to 2 %"));
}

TEST_CASE("a budget of too few sizes has no optimum, which is not 0") {
  const Table table("c,n,loss\n1e18,1e6,3\n1e18,2e6,2.9\n1e18,4e6,3\n1e19,1e6,3\n1e19,2e6,2.9\n");
  FitTableOptions options{.law = "isoflop", .parameters = "n", .flops = "c"};
  options.fit.draws = 0;
  const FitTableResult result = fit_table(table.path(), options);
  CHECK(std::isnan(result.isoflop->budgets.at(1).loss));
  CHECK_THAT(result.text(), Catch::Contains("C 1e+19     N* -  ") && Catch::Contains("loss - ") &&
                                Catch::Contains("exponent    -") && !Catch::Contains("nan"));
  CHECK(nlohmann::json::parse(result.json())["budgets"][1]["parameters"].is_null());
}
