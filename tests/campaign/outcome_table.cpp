#include "tests/campaign/outcome_table.hpp"

#include <fmt/format.h>

namespace metascale::testing {

int OutcomeTable::faults() const {
  int sum = 0;
  for (const auto& [key, outcomes] : counts_)
    for (const auto& [outcome, count] : outcomes) sum += count;
  return sum;
}

std::string OutcomeTable::text() const {
  std::string text = "| fault | place | what the process did | then |\n|---|---|---|---|\n";
  for (const auto& [key, outcomes] : counts_) {
    std::string words;
    for (const auto& [outcome, count] : outcomes)
      words += fmt::format("{}{} x {}", words.empty() ? "" : ", ", count, outcome);
    text += fmt::format("| {} | {} | {} | equal to the undisturbed |\n", std::get<0>(key),
                        std::get<1>(key), words);
  }
  return text + fmt::format("\n{} faults, none lost anything\n", faults());
}

}  // namespace metascale::testing
