// Faults in a run's process: in its steps, its evaluations, its checkpoints and its log. The run is
// then started again, and must leave what an undisturbed one leaves, bit for bit.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <iostream>
#include <random>

#include "tests/campaign/faults.hpp"
#include "tests/campaign/outcome_table.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::call_program, testing::call_with_fault, testing::Ended, testing::expect_equal_bits,
    testing::Fault, testing::Faulted, testing::Outcome, testing::outcome_of, testing::OutcomeTable,
    testing::Place, testing::RunsFolder;

const Fault faults[] = {{"kill -9", "write", "kill"},
                        {"kill -9 before a rename", "rename", "kill"},
                        {"half a write, kill -9", "write", "torn"},
                        {"TERM", "write", "term"},
                        {"STOP, CONT", "write", "stop"},
                        {"short writes", "write", "short"},
                        {"EIO", "write", "5"},
                        {"EIO of fsync", "sync", "5"},
                        {"EIO of rename", "rename", "5"},
                        {"full disk", "write", "28"},
                        {"quota (EDQUOT)", "write", "122"},
                        {"limit of file sizes", "write", "size"},
                        {"read-only folder", "create", "30"}};
const Place places[] = {{"step", "journal.jsonl"},
                        {"heartbeat", "state.json"},
                        {"evaluation", "evaluations/"},
                        {"checkpoint", "checkpoints/"},
                        {"snapshot of the log", "run.h5"}};
const Fault clock_faults[] = {{"clock a day ahead", "clock", "86400"},
                              {"clock a day back", "clock", "-86400"}};

class TrainingCampaign {
 public:
  TrainingCampaign() {
    const fs::path folder = runs_.write(config("undisturbed"));
    REQUIRE(call_program(runs_.path(), {"train", folder.string()}).code == 0);
    undisturbed_ = outcome_of(folder);
  }

  // Returns whether the run came so far.
  bool disturb(const Fault& fault, const Place& place, int number) {
    const fs::path folder = runs_.write(config(fmt::format("disturbed-{}", ++count_)));
    const testing::Words words{"train", folder.string()};
    const Faulted faulted = call_with_fault(runs_.path(), words, fault, place, number);
    CAPTURE(fault.name, place.name, number, faulted.ended.text);
    if (faulted.was_hit) {
      const Ended last = call_program(runs_.path(), words);
      INFO(last.text);
      REQUIRE(last.code == 0);
      expect_equal_bits(undisturbed_, outcome_of(folder));
      REQUIRE_FALSE(fs::exists(folder / "FAILED"));
      table_.add(fault.name, place.name, testing::outcome_name(faulted.ended.code));
    }
    fs::remove_all(folder);
    return faulted.was_hit;
  }

  // At one of the first `most` calls. Returns false where there is none of this kind.
  bool disturb_somewhere(const Fault& fault, const Place& place, int most, std::mt19937& random) {
    for (; most > 0; most /= 4)
      if (disturb(fault, place, 1 + int(random() % unsigned(most)))) return true;
    return false;
  }

  const OutcomeTable& table() const { return table_; }

 private:
  RunConfig config(const std::string& id) const {
    RunConfig config = runs_.config(id, Architecture::meta_state);
    config.training.steps = 30;
    config.evaluation = {.every_steps = 10, .windows = 8};
    config.log = {.checkpoint_every = 4, .keep = 2};
    return config;
  }

  RunsFolder runs_;
  Outcome undisturbed_;
  OutcomeTable table_;
  int count_ = 0;
};

TEST_CASE("faults while a run trains, evaluates and saves cost it nothing: each of them once") {
  TrainingCampaign campaign;
  std::mt19937 random(1);
  std::size_t turn = 0;
  for (const Fault& fault : faults) {
    bool was_hit = false;  // some places know no such call
    for (std::size_t tried = 0; tried < std::size(places) && !was_hit; ++tried)
      was_hit = campaign.disturb_somewhere(fault, places[turn++ % std::size(places)], 8, random);
    CAPTURE(fault.name);
    CHECK(was_hit);
  }
  for (const Fault& fault : clock_faults) CHECK(campaign.disturb(fault, {"step", ""}, 3));
  std::cout << campaign.table().text();
}

TEST_CASE("five hundred faults while runs train, evaluate and save cost them nothing", "[.slow]") {
  TrainingCampaign campaign;
  std::mt19937 random(2);
  for (int round = 0; campaign.table().faults() < 500; ++round) {
    REQUIRE(round < 100);
    for (const Place& place : places)
      for (const Fault& fault : faults) campaign.disturb_somewhere(fault, place, 64, random);
    for (const Fault& fault : clock_faults)
      campaign.disturb_somewhere(fault, {"step", ""}, 16, random);
  }
  std::cout << campaign.table().text();
}

}  // namespace
}  // namespace metascale
