// Fault x place x outcome, counted.
#pragma once

#include <map>
#include <string>
#include <tuple>

namespace metascale::testing {

class OutcomeTable {
 public:
  // A fault that came, and that nothing was lost by.
  void add(const std::string& fault, const std::string& place, const std::string& outcome) {
    ++counts_[{fault, place}][outcome];
  }
  int faults() const;
  // A table in Markdown, one line for each fault and place.
  std::string text() const;

 private:
  std::map<std::tuple<std::string, std::string>, std::map<std::string, int>> counts_;
};

}  // namespace metascale::testing
