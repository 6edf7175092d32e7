#include "analysis/json/parts.hpp"

#include <cmath>

namespace metascale {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}
Json interval(const Interval& value) {
  return Json::array({number(value.low), number(value.high)});
}
Json unbounded(const Interval& value) {
  return Json::array({value.low == 0 || std::isinf(value.low), std::isinf(value.high)});
}

Json cells_json(const Report& report) {
  Json list = Json::array();
  for (const Cell& cell : report.cells)
    list.push_back({{"arm", cell.arm},
                    {"size", cell.size},
                    {"length", cell.length},
                    {"seeds", cell.runs.size()},
                    {"parameters", number(cell.parameters)},
                    {"non_embedding_parameters", number(cell.non_embedding_parameters)},
                    {"flops_per_token", number(cell.flops_per_token)},
                    {"executed_flops_per_token", number(cell.executed_flops_per_token)},
                    {"tokens", number(cell.tokens)},
                    {"training_flops", number(cell.training_flops)},
                    {"loss", number(cell.loss)},
                    {"deviation", number(cell.loss_deviation)},
                    {"bits", number(cell.bits_per_byte)},
                    {"speed", number(cell.tokens_per_second)},
                    {"hours", number(cell.hours)},
                    {"runs", run_list(cell.runs)}});
  return list;
}

}  // namespace metascale
