#include "core/log_differences.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/run_file/columns.hpp"

namespace metascale {
namespace {

template <typename T>
bool same(const T& a, const T& b) {
  return a == b;
}
bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

class Comparison {
 public:
  Comparison(LogPart part, std::size_t limit) : part_(part), limit_(limit) {}

  template <typename T>
  void value(const std::string& where, const T& a, const T& b) {
    if (!full() && !same(a, b)) found_.push_back(fmt::format("{}: {} and {}", where, a, b));
  }

  template <typename Row, typename Columns>
  void table(const std::string& name, const std::vector<Row>& a, const std::vector<Row>& b,
             const Columns& columns) {
    value(name + ", rows", a.size(), b.size());
    for (std::size_t i = 0; i < std::min(a.size(), b.size()) && !full(); ++i)
      for_each_column(columns, [&](const auto& column) {
        if (part_ == LogPart::deterministic && !column.deterministic) return;
        if (same(a[i].*column.member, b[i].*column.member)) return;
        value(fmt::format("{}[{}].{}", name, i, column.name), a[i].*column.member,
              b[i].*column.member);
      });
  }

  void words(const std::string& name, const std::map<std::string, std::string>& a,
             const std::map<std::string, std::string>& b) {
    if (!full() && a != b) found_.push_back(name + " differ");
  }

  bool full() const { return found_.size() >= limit_; }
  std::vector<std::string> take() { return std::move(found_); }

 private:
  LogPart part_;
  std::size_t limit_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> log_differences(const RunLog& a, const RunLog& b, LogPart part,
                                         std::size_t limit) {
  Comparison compare(part, limit);
  if (part == LogPart::everything) {
    compare.value("run_id", a.run_id, b.run_id);
    compare.value("configuration", a.configuration, b.configuration);
    compare.words("facts", a.facts, b.facts);
    compare.words("environment", a.environment, b.environment);
    compare.table("events", a.events, b.events, event_columns);
  }
  compare.table("steps", a.steps, b.steps, step_columns);
  compare.table("evaluations", a.evaluations, b.evaluations, evaluation_columns);
  const std::size_t both = std::min(a.evaluations.size(), b.evaluations.size());
  for (std::size_t i = 0; i < both && !compare.full(); ++i) {
    const Evaluation &left = a.evaluations[i], &right = b.evaluations[i];
    const std::string name = fmt::format("evaluations[{}].", i);
    compare.table(name + "domains", left.domains, right.domains, domain_columns);
    compare.table(name + "positions", left.positions, right.positions, position_columns);
    compare.table(name + "segments", left.segments, right.segments, segment_columns);
    compare.table(name + "probes", left.probes, right.probes, probe_columns);
  }
  return compare.take();
}

}  // namespace metascale
