#include "tests/slurm/slurm_sweep.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/command.hpp"
#include "sweeps/attempt.hpp"
#include "tests/support/tiny_sweep.hpp"

namespace metascale::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path scripts = fs::path(METASCALE_SOURCE) / "tests/slurm";
constexpr const char* hostile = "re sults'\"$(touch harm)`touch harm`\n;&%A\\#";

CommandResult cluster_script(const std::string& verb, const fs::path& folder,
                             const std::string& more = "") {
  return run_command({(scripts / "cluster.sh").string(), verb, folder.string(), more},
                     {.folder = {}, .seconds = 60});
}

std::string yaml_quoted(const std::string& text) {
  return json(text).dump();  // a JSON string is a YAML string
}

}  // namespace

Cluster::Cluster(int nodes) {
  const CommandResult result = cluster_script("start", folder_.path(), std::to_string(nodes));
  if (result.exit_code == 69) {
    why_ = result.output;
    return;
  }
  INFO(result.output + result.error);
  REQUIRE(result.good());
  ::setenv("SLURM_CONF", (folder_ / "slurm.conf").c_str(), 1);
}

Cluster::~Cluster() {
  if (is_there()) cluster_script("stop", folder_.path());
}

bool Cluster::say_if_skipped() const {
  if (!is_there()) WARN(why_);
  return !is_there();
}

void Cluster::kill_daemons() const { REQUIRE(cluster_script("kill", folder_.path()).good()); }
void Cluster::start() const { REQUIRE(cluster_script("start", folder_.path()).good()); }
void Cluster::lose(const std::string& node) const {
  REQUIRE(cluster_script("lose", folder_.path(), node).good());
}

std::string output_of(const std::vector<std::string>& words) {
  const CommandResult result = run_command(words);
  INFO(words[0] << ": " << result.error);
  REQUIRE(result.good());
  return result.output;
}

SlurmSweep::SlurmSweep(const SlurmSweepOptions& options) {
  fs::create_directories(runs_.path() / "hold");
  const std::string hold = yaml_quoted((scripts / "hold.sh").string()),
                    folder = yaml_quoted((runs_.path() / "hold").string());
  write_tiny_sweep(
      runs_, {.other_arm = "transformer: {architecture: transformer, training: " +
                           options.arm_training + "}",
              .lengths = options.lengths,
              .seeds = options.seeds,
              .training = "learning_rate: 5e-3, schedule: " + options.schedule,
              .lines = fmt::format("evaluation: {{every: never}}\nlog: {{checkpoint_every: {}}}\n"
                                   "policy: {{retries: 1}}\nresources: {}\n"
                                   "budget: {{price_per_core_hour: 3}}\n"
                                   "launch: {{slurm: {{container: [{}, {}]{}{}}}}}\n{}{}",
                                   options.checkpoints, options.resources, hold, folder,
                                   options.slurm.empty() ? "" : ", ", options.slurm,
                                   options.include.empty() ? "" : "include:\n", options.include)});
}

fs::path SlurmSweep::results() const { return runs_.path() / hostile; }

Words SlurmSweep::words(const std::string& verb, const Words& more) const {
  Words all{verb, (runs_.path() / "sweep.yaml").string(), "--results", results().string()};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Ended SlurmSweep::call(const std::string& verb, const Words& more) const {
  return call_program(runs_.path(), words(verb, more));
}

Ended SlurmSweep::call_on_folder(const std::string& verb, const Words& more) const {
  Words all{verb, folder().string()};
  all.insert(all.end(), more.begin(), more.end());
  return call_program(runs_.path(), all);
}

json SlurmSweep::submit() const {
  const Ended ended = call("submit", {"--json"});
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  return json::parse(ended.text);
}

std::map<std::string, json> SlurmSweep::status() const {
  const Ended ended = call_on_folder("status", {"--json"});
  REQUIRE(ended.code == 0);
  std::map<std::string, json> rows;
  const json document = json::parse(ended.text);
  for (const json& row : document.at("runs")) rows[row.at("run").get<std::string>()] = row;
  return rows;
}

std::vector<std::string> SlurmSweep::in_state(const std::string& word) const {
  std::vector<std::string> runs;
  for (const auto& [run, row] : status())
    if (row.at("state") == word) runs.push_back(run);
  return runs;
}

void SlurmSweep::wait_for_state(const std::string& word, std::size_t count) const {
  INFO("for " << count << " runs that are " << word << "; now\n" << call_on_folder("status").text);
  wait_until([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return in_state(word).size() >= count;
  });
}

void SlurmSweep::wait_for_attempt(const std::string& id, int number) const {
  INFO(id << ", attempt " << number);
  std::size_t rows = 0;
  wait_until([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (!fs::exists(attempt_folder(run(id), number))) {
      rows = fs::exists(run(id) / "journal.jsonl") ? journal_lines(run(id)) : 0;
      return false;
    }
    return journal_lines(run(id)) >= rows + 8;
  });
}

void SlurmSweep::release(const std::string& id) const {
  std::ofstream(runs_.path() / "hold" / (id.empty() ? "release" : "release-" + id));
}

void SlurmSweep::deafen() const { std::ofstream(runs_.path() / "hold/deaf"); }

void SlurmSweep::kill_trainer(const std::string& id) const {
  const json lease = json::parse(read_file(run(id) / "lease.json"));
  REQUIRE(::kill(lease.at("pid").get<pid_t>(), SIGKILL) == 0);
}

std::string SlurmSweep::job_of(const std::string& id) const {
  return status().at(id).at("job").get<std::string>();
}

fs::path SlurmSweep::run_here(const std::string& name, const std::string& resources) const {
  const std::string elsewhere = (runs_.path() / name).string();
  Words local{"run",        (runs_.path() / "sweep.yaml").string(),
              "--set",      "launch={local: {threads: 1}}",
              "--results",  elsewhere,
              "--no-report"};
  if (!resources.empty()) local.insert(local.end(), {"--set", "resources=" + resources});
  call_program(runs_.path(), local);  // runs that are to fail do so here, too
  return fs::path(elsewhere) / "tiny/runs";
}

void SlurmSweep::expect_undisturbed(const std::vector<std::string>& runs) const {
  const fs::path elsewhere = run_here("undisturbed");
  for (const std::string& id : runs) {
    INFO(id);
    const fs::path alone = elsewhere / id;
    REQUIRE(fs::exists(alone / "DONE"));
    REQUIRE(fs::exists(run(id) / "DONE"));
    expect_equal_bits(outcome_of(alone), outcome_of(run(id)));
  }
}

void SlurmSweep::expect_unharmed() const {
  for (const auto& entry : fs::recursive_directory_iterator(runs_.path()))
    CHECK(entry.path().filename() != "harm");
  CHECK_FALSE(fs::exists("harm"));
}

}  // namespace metascale::testing
