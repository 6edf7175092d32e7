#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/thin.hpp"

using namespace metascale;

TEST_CASE("a short curve is kept whole") {
  const double values[] = {3, 1, 2};
  CHECK(thin(values, 10) == std::vector<std::size_t>{0, 1, 2});
}

TEST_CASE("thinning keeps spikes, dips and both ends") {
  std::vector<double> values(10000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(double(i));
  values[4321] = 50, values[8765] = -50;
  const auto kept = thin(values, 200);
  CHECK(kept.size() <= 200);
  CHECK(std::is_sorted(kept.begin(), kept.end()));
  CHECK(kept.front() == 0);
  CHECK(kept.back() == 9999);
  CHECK(std::count(kept.begin(), kept.end(), 4321u) == 1);
  CHECK(std::count(kept.begin(), kept.end(), 8765u) == 1);
}
