// A run's history as one table: a column for each number that any row has.
#include <algorithm>

#include "analysis/export.hpp"
#include "analysis/exports/scalars.hpp"
#include "analysis/support/text.hpp"
#include "core/error.hpp"

namespace metascale {

std::string csv_history(const RunLog& log) {
  std::vector<std::string> names;
  each_scalar_row(log, [&](const ScalarRow& row) {
    for (const auto& [name, value] : row.values)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  });
  if (names.empty()) return "";
  std::string text = "step,time,runtime";
  for (const std::string& name : names) text += "," + csv_escape(name);
  text += '\n';
  each_scalar_row(log, [&](const ScalarRow& row) {
    text += concat(row.step, ",", exact(row.time), ",", exact(row.runtime));
    for (const std::string& name : names) {
      const auto found = std::find_if(row.values.begin(), row.values.end(),
                                      [&](const auto& entry) { return entry.first == name; });
      text += found == row.values.end() ? "," : "," + exact(found->second);
    }
    text += '\n';
  });
  return text;
}

}  // namespace metascale
