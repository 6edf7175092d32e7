// Claim (c) out of context.json, and device-hours out of attempt.json.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "analysis/render_html.hpp"
#include "analysis/render_json.hpp"
#include "analysis/report.hpp"
#include "analysis/tables.hpp"
#include "core/error.hpp"
#include "tests/analysis/claims_of.hpp"

using namespace metascale;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("metascale-costs-" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  const fs::path& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }

 private:
  fs::path path_;
};

// resident: bytes by which the process grows for each token.
nlohmann::json curve(double exponent, int lengths, double resident) {
  nlohmann::json points = nlohmann::json::array();
  for (int i = 0; i < lengths; ++i) {
    const double tokens = 256 << i, cost = std::pow(tokens, exponent);
    points.push_back({{"tokens", 256 << i},
                      {"seconds_per_token", 1e-6 * cost},
                      {"planned_bytes", 100 * cost},
                      {"resident_bytes", resident > 0 ? 5e4 + resident * tokens : 0}});
  }
  return {{"points", points}, {"left_out_from", 0}};
}

// As `metascale bench context --json` writes it: every curve of meta_state with this exponent;
// beside it a Transformer whose cache takes 100 bytes for each token. resident: of meta_state's
// process for each token; 0: not measured.
nlohmann::json context_file(double exponent, double half_width, int lengths,
                            double resident = 0.01) {
  nlohmann::json exponents;
  for (const char* name :
       {"training_seconds", "training_bytes", "generation_seconds", "generation_bytes"})
    exponents[name] = {{"exponent", exponent},
                       {"interval", {exponent - half_width, exponent + half_width}},
                       {"points", lengths}};
  const auto model = [&](const char* name, const nlohmann::json& training,
                         const nlohmann::json& generation, const nlohmann::json& fits) {
    return nlohmann::json{{"architecture", name},
                          {"parameters", 1000},
                          {"training", training},
                          {"generation", generation},
                          {"exponents", fits}};
  };
  return {
      {"threads", 1},
      {"models",
       {model("meta_state", curve(exponent, lengths, 0), curve(exponent, lengths, resident),
              exponents),
        model("transformer", curve(1, 0, 0), curve(1, lengths, 100), nlohmann::json::object())}},
      {"crossovers", nlohmann::json::array()}};
}

Report report_of(Collection collection) {
  const ReportOptions quick{
      .bootstrap_pairs = 20, .bootstrap_fits = 5, .fit_starts = 20, .figures = false};
  return analyse(std::move(collection), quick);
}

Claim claim_c(const Report& report) {
  for (const Claim& claim : report.claims)
    if (claim.letter == "c") return claim;
  throw std::runtime_error("no claim c");
}
Claim claim_c(const nlohmann::json& context) {
  const Folder folder;
  folder.write("context.json", context.dump());
  return claim_c(report_of(collect(folder.path())));
}

Collection one_cell() {
  fixture::SweepTruth truth;
  truth.sizes.resize(1), truth.seeds = 2, truth.steps = 10, truth.documents = 12;
  truth.arms.resize(1);
  return fixture::collection_of(fixture::sweep_logs(truth));
}

const char* attempt(bool joules) {
  return joules ? R"({"end":"done","started":3600,"seen":10800,"cores":4,"gpus":0.5,"joules":7})"
                : R"({"end":"saved","started":0,"seen":3600,"cores":4,"gpus":0.5})";
}

}  // namespace

TEST_CASE("flat curves over long contexts are linear cost and constant memory") {
  const Claim claim = claim_c(context_file(0.01, 0.02, 8));
  CHECK(claim.verdict == Verdict::holds);
  CHECK(claim.would_decide.empty());
  CHECK_THAT(claim.evidence_text(), Catch::Contains("training time +0.010 [-0.010, +0.030]") &&
                                        Catch::Contains("as computed +0.010") &&
                                        Catch::Contains("attention cache's +0.000 ["));
}

TEST_CASE(
    "a state of constant size in a process that grows as a cache does is no constant memory") {
  const Claim claim = claim_c(context_file(0, 0, 8, 100));  // computed: flat
  CHECK(claim.verdict == Verdict::does_not_hold);
  CHECK_THAT(claim.evidence_text(), Catch::Contains("as computed +0.000 [+0.000, +0.000]") &&
                                        Catch::Contains("attention cache's +1.000 ["));
}

TEST_CASE("memory that was only computed does not decide whether it is constant") {
  const Claim claim = claim_c(context_file(0.01, 0.02, 8, 0));
  CHECK(claim.verdict == Verdict::not_decided);
  CHECK_THAT(claim.would_decide, Catch::Contains("as computed"));
  nlohmann::json alone = context_file(0.01, 0.02, 8);
  alone["models"].erase(1);  // measured, but beside no attention
  CHECK(claim_c(alone).verdict == Verdict::not_decided);
  nlohmann::json blind = context_file(0.01, 0.02, 8);  // the cache was not seen to grow either
  for (auto& point : blind["models"][1]["generation"]["points"]) point["resident_bytes"] = 7e4;
  CHECK(claim_c(blind).verdict == Verdict::not_decided);
}

TEST_CASE("a process's memory that jumps by as much as a cache would take leaves memory open") {
  nlohmann::json context = context_file(0.01, 0.02, 5);
  auto& points = context["models"][0]["generation"]["points"];
  const double whole = 100.0 * 4096;  // of the longest position's cache
  for (std::size_t i = 0; i < points.size(); ++i)
    points[i]["resident_bytes"] = i % 2 ? whole : whole / 4;
  CHECK(claim_c(context).verdict == Verdict::not_decided);
}

TEST_CASE("the growth of resident memory is the slope of a line fitted by hand") {
  // 1, 2, 2 kB at 1, 2, 3 tokens: slope 500 bytes, residuals -1/6, 1/3, -1/6 kB; a cache: 1000.
  ContextModel model, attention;
  for (const auto& [tokens, bytes] : {std::pair(1, 1e3), {2, 2e3}, {3, 2e3}})
    model.generation.push_back({.tokens = tokens, .resident_bytes = bytes});
  attention.generation.push_back({.tokens = 8, .bytes = 8e3});
  const auto growth = measured_growth(model, attention);
  REQUIRE(growth);
  CHECK(growth->share == Approx(0.5));
  const double error = std::sqrt((1.0 / 36 + 1.0 / 9 + 1.0 / 36) / 1 / 2);
  CHECK(growth->interval.high - growth->share == Approx(12.706 * error));
  CHECK(growth->share - growth->interval.low == Approx(12.706 * error));
  model.generation.pop_back();
  CHECK_FALSE(measured_growth(model, attention));
}

TEST_CASE("time and memory have verdicts of their own beside that of the claim") {
  const auto text_of = [](const nlohmann::json& context) { return claim_c(context).text; };
  CHECK_THAT(text_of(context_file(0.01, 0.02, 8)), Catch::EndsWith("(time: holds; memory: holds)"));
  nlohmann::json noisy = context_file(0.01, 0.02, 8);
  noisy["models"][0]["exponents"]["training_seconds"]["interval"] = {-0.3, 0.3};
  CHECK_THAT(text_of(noisy), Catch::EndsWith("(time: not decided; memory: holds)"));
  CHECK(claim_c(noisy).verdict == Verdict::not_decided);
  CHECK_THAT(text_of(context_file(0, 0, 8, 100)),
             Catch::EndsWith("(time: holds; memory: does not hold)"));
  CHECK_THAT(text_of(context_file(0.01, 0.02, 8, 0)),
             Catch::EndsWith("(time: holds; memory: not decided)"));
  nlohmann::json growing = context_file(0.01, 0.02, 8);
  growing["models"][0]["exponents"]["generation_seconds"]["exponent"] = 1;
  growing["models"][0]["exponents"]["generation_seconds"]["interval"] = {0.9, 1.1};
  CHECK_THAT(text_of(growing), Catch::EndsWith("(time: does not hold; memory: holds)"));
}

TEST_CASE("the numbers of linear cost and constant memory are those that were measured") {
  struct Truth {
    double exponent, share;  // of the curves; of a cache's growth by the process
    Verdict verdict;
  };
  const Truth truth =
      GENERATE(Truth{0.02, 0.05, Verdict::holds}, Truth{0.02, 0.4, Verdict::does_not_hold},
               Truth{0.7, 0.05, Verdict::does_not_hold});
  const Claim claim = claim_c(context_file(truth.exponent, 0.03, 8, 100 * truth.share));
  CAPTURE(truth.exponent, truth.share);
  CHECK(claim.verdict == truth.verdict);
  REQUIRE(claim.values.size() == 4);
  for (const char* measure : {"training_seconds", "generation_seconds", "generation_bytes"}) {
    const ClaimValue& value = fixture::value_at(claim, measure);
    CHECK(value.arm == "meta_state");
    CHECK(value.value == truth.exponent);
    CHECK(value.interval.low == Approx(truth.exponent - 0.03));
    CHECK(value.interval.high == Approx(truth.exponent + 0.03));
  }
  const ClaimValue& growth = fixture::value_at(claim, "measured_memory_growth");
  CHECK(growth.value == Approx(truth.share));
  CHECK(growth.interval.low == Approx(truth.share));  // points on a line
  CHECK(claim_c(report_of(one_cell())).values.empty());
  CHECK(claim_c(report_of(one_cell())).verdict == Verdict::no_data);
}

TEST_CASE("a cost per token that grows with its context is not linear") {
  CHECK(claim_c(context_file(0.5, 0.1, 8)).verdict == Verdict::does_not_hold);
}

TEST_CASE("short or noisy curves do not decide linear cost") {
  CHECK(claim_c(context_file(0.01, 0.02, 4)).verdict == Verdict::not_decided);  // 256 to 2048
  CHECK(claim_c(context_file(0.01, 0.3, 8)).verdict == Verdict::not_decided);
}

TEST_CASE("curves of other architectures alone say nothing about linear cost") {
  nlohmann::json context = context_file(0.01, 0.02, 8);
  context["models"][0]["architecture"] = "rwkv7";
  CHECK(claim_c(context).verdict == Verdict::no_data);
}

TEST_CASE("a curve with too few lengths for an exponent is shown without one") {
  nlohmann::json context = context_file(0.01, 0.02, 8);
  context["models"][0]["exponents"]["generation_bytes"] = nullptr;
  const Claim claim = claim_c(context);
  CHECK(claim.verdict == Verdict::not_decided);
  CHECK(claim.evidence.size() == 3);
  CHECK_THAT(claim.would_decide, Catch::Contains("all 4 curves"));
}

TEST_CASE("a damaged context.json is a note, and the report comes without it") {
  for (const char* text : {"{", "{}", R"({"models":[{"architecture":1}]})"}) {
    const Folder folder;
    folder.write("context.json", text);
    const Report report = report_of(collect(folder.path()));
    CHECK(claim_c(report).verdict == Verdict::no_data);
    CHECK(std::any_of(report.notes.begin(), report.notes.end(), [](const std::string& note) {
      return note.find("context.json") != std::string::npos;
    }));
  }
}

TEST_CASE("the page draws the measured curves beside their tables") {
  Collection collection = one_cell();
  const Folder folder;
  folder.write("context.json", context_file(0.01, 0.02, 8).dump());
  collection.context = read_context_costs(folder.path() / "context.json");
  const Report report = report_of(std::move(collection));
  const auto data = nlohmann::json::parse(render_page_data(report));
  REQUIRE(data.at("context").size() == 2);
  CHECK(data.at("context")[0].at("generation_bytes").size() == 8);
  CHECK(context_costs_table(report).rows.size() == 24);
  CHECK(context_exponents_table(report).rows.size() == 4);
  CHECK_THAT(render_html(report), Catch::Contains("id=\"chart-context\""));
}

TEST_CASE("device-hours add up all starts of a run, and say what was not read") {
  const Folder folder;
  folder.write("attempts/0001/attempt.json", attempt(false));
  folder.write("attempts/0002/attempt.json", attempt(true));
  folder.write("attempts/0003/attempt.json", "{\"started\": \"yesterday\"}");
  folder.write("attempts/0004/attempt.json",
               R"({"started": 0, "seen": 1e307, "cores": 1, "gpus": 1, "joules": 1})");
  const auto use = read_device_use(folder.path());
  REQUIRE(use);
  CHECK(use->attempts == 2);
  CHECK(use->damaged == 2);
  CHECK(use->gpu_hours == Approx(1.5));  // half a GPU for 1 h and for 2 h
  CHECK(use->core_hours == Approx(12));
  CHECK_FALSE(use->joules);
  CHECK_FALSE(read_device_use(folder.path() / "attempts"));
}

TEST_CASE("the energy of a run is that of all its starts") {
  const Folder folder;
  folder.write("attempts/0001/attempt.json", attempt(true));
  folder.write("attempts/0002/attempt.json", attempt(true));
  CHECK(read_device_use(folder.path())->joules == 14);
  folder.write("attempts/0003/attempt.json", attempt(false));
  CHECK_FALSE(read_device_use(folder.path())->joules);
}

TEST_CASE("the table of device-hours stands beside the plan, at the budget's prices") {
  Collection collection = one_cell();
  collection.runs[0].device_use = DeviceUse{.attempts = 3, .gpu_hours = 1.5, .core_hours = 12};
  collection.runs[0].device_use->joules = 7.5e3;
  collection.prices.gpu_hour = 2;
  for (const Run& run : collection.runs) collection.planned_hours[run.id] = 0.75;
  const Report report = report_of(std::move(collection));
  const Table table = device_hours_table(report);
  REQUIRE(table.rows.size() == 1);
  const auto& row = table.rows[0];
  CHECK(row[3].shown == "2");
  CHECK(row[4].shown == "1");
  CHECK(row[7].exact == "1.5");
  CHECK(row[9].exact == "3");
  double planned = 0;
  for (const Run& run : report.collection.runs) planned += *run.number("training_flops");
  CHECK(std::stod(row[13].exact) == Approx(planned));
  CHECK(row[11].exact == "1.5");
  CHECK(row[14].exact == "7500");
}

TEST_CASE("runs without logged starts have device-hours that were not logged") {
  const Table table = device_hours_table(report_of(one_cell()));
  CHECK(table.rows[0][7].shown == "not logged");
  CHECK(table.rows[0][9].shown == "-");
}

TEST_CASE("planned hours are those of the plan, where it knew them") {
  const Folder folder;
  CHECK(read_planned_hours(folder.path()).empty());
  folder.write("plan.csv", "id,arm\na,rwkv7\n");  // of an older version
  CHECK(read_planned_hours(folder.path()).empty());
  folder.write("plan.csv", "id,arm,hours\na,rwkv7,1.25\nb,rwkv7,\n");
  CHECK(read_planned_hours(folder.path()) == std::map<std::string, double>{{"a", 1.25}});
  folder.write("plan.csv", "id,arm,hours\na,rwkv7,soon\n");
  CHECK_THROWS_WITH(read_planned_hours(folder.path()), Catch::Contains("plan.csv:2: 'soon'"));
}

TEST_CASE("prices are those of the sweep file's budget") {
  const Folder folder;
  folder.write("sweep.yaml", "schema: 1\nname: x\nbudget: {price_per_gpu_hour: 2.5}\n");
  const DevicePrices prices = read_prices(folder.path());
  CHECK(prices.gpu_hour == 2.5);
  CHECK_FALSE(prices.core_hour);
}
