#include "analysis/thin.hpp"

#include <algorithm>
#include <numeric>

namespace metascale {

std::vector<std::size_t> thin(std::span<const double> values, std::size_t limit) {
  std::vector<std::size_t> kept;
  if (values.size() <= std::max<std::size_t>(limit, 4)) {
    kept.resize(values.size());
    std::iota(kept.begin(), kept.end(), std::size_t(0));
    return kept;
  }
  const std::size_t stretches = std::max<std::size_t>(limit / 4, 1);
  for (std::size_t stretch = 0; stretch < stretches; ++stretch) {
    const std::size_t begin = values.size() * stretch / stretches;
    const std::size_t end = values.size() * (stretch + 1) / stretches;
    const auto [low, high] = std::minmax_element(values.begin() + std::ptrdiff_t(begin),
                                                 values.begin() + std::ptrdiff_t(end));
    std::size_t stretch_kept[] = {begin, std::size_t(low - values.begin()),
                                  std::size_t(high - values.begin()), end - 1};
    std::sort(std::begin(stretch_kept), std::end(stretch_kept));
    for (const std::size_t index : stretch_kept)
      if (kept.empty() || kept.back() != index) kept.push_back(index);
  }
  return kept;
}

}  // namespace metascale
