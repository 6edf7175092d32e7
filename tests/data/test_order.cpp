#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "data/order.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

std::vector<std::int64_t> epoch_of(const Order& order, std::int64_t epoch) {
  std::vector<std::int64_t> windows;
  for (std::int64_t sample = epoch * order.windows; sample < (epoch + 1) * order.windows; ++sample)
    windows.push_back(order.window(sample));
  return windows;
}

TEST_CASE("each epoch visits every window once") {
  const std::int64_t windows = GENERATE(1, 2, 3, 5, 64, 65, 1021, 4096, 4097, 26466);
  const std::int64_t epoch = GENERATE(0, 1, 7);
  const Order order{.seed = 1234, .windows = windows};
  std::vector<std::int64_t> visited = epoch_of(order, epoch);
  std::sort(visited.begin(), visited.end());
  std::vector<std::int64_t> all(static_cast<std::size_t>(windows));
  std::iota(all.begin(), all.end(), 0);
  CHECK(visited == all);
}

TEST_CASE("other seeds and other epochs give other orders") {
  const Order first{.seed = 1, .windows = 1021}, second{.seed = 2, .windows = 1021};
  const auto a = epoch_of(first, 0), b = epoch_of(second, 0), c = epoch_of(first, 1);
  const auto agreements = [&](const auto& x, const auto& y) {
    return std::inner_product(x.begin(), x.end(), y.begin(), 0, std::plus<>(), std::equal_to<>());
  };
  CHECK(agreements(a, b) < 10);  // 1 is expected of independent orders
  CHECK(agreements(a, c) < 10);
}

// With N windows in a random order the sum of a*b over 2 k places has these moments; 5 standard
// deviations.
TEST_CASE("places and windows are not correlated") {
  const std::int64_t windows = 4099;
  const std::uint64_t seed = GENERATE(0u, 1u, 1234u, 0xffffffffffffffffu);
  const auto order = epoch_of({.seed = seed, .windows = windows}, 0);
  double same_place = 0, neighbours = 0;
  const double mean = double(windows - 1) / 2, variance = (double(windows) * windows - 1) / 12;
  for (std::size_t i = 0; i < order.size(); ++i) {
    same_place += (double(i) - mean) * (double(order[i]) - mean);
    neighbours += (double(order[i]) - mean) * (double(order[(i + 1) % order.size()]) - mean);
  }
  const double bound = 5 * variance * std::sqrt(double(windows));
  CHECK(std::abs(same_place) < bound);
  CHECK(std::abs(neighbours) < bound);
}

// chi squared of 10 equal classes of windows in the first tenth of the places: 9 degrees of
// freedom, and 40 is exceeded by chance once in 100,000.
TEST_CASE("the beginning of an epoch is spread over the whole file") {
  const std::int64_t windows = 30011, places = windows / 10;
  const Order order{.seed = GENERATE(3u, 99u), .windows = windows};
  std::vector<double> counts(10);
  for (std::int64_t sample = 0; sample < places; ++sample)
    ++counts[std::size_t(order.window(sample) * 10 / windows)];
  double chi_squared = 0;
  for (const double count : counts)
    chi_squared += (count - places / 10.0) * (count - places / 10.0) / (places / 10.0);
  CHECK(chi_squared < 40);
}

// From an implementation of its own in Python.
TEST_CASE("the order does not change between versions of this program") {
  const Order order{.seed = 1234, .windows = 1000};
  std::vector<std::int64_t> first, fourth;
  for (std::int64_t sample = 0; sample < 8; ++sample) first.push_back(order.window(sample));
  for (std::int64_t sample = 3000; sample < 3004; ++sample) fourth.push_back(order.window(sample));
  CHECK(first == std::vector<std::int64_t>{730, 436, 516, 128, 533, 443, 950, 108});
  CHECK(fourth == std::vector<std::int64_t>{87, 597, 692, 734});
  CHECK(permute(7, 2, 1'000'000'000'039, 1'000'000'000'000) == 650515278307);
}

TEST_CASE("contexts cut from the same long windows see the same tokens in the same steps") {
  const std::int64_t tokens = 10'000, longest = 64, pieces = 4;
  const Order whole = make_order(OrderKind::permuted, 5, tokens, longest);
  const Order cut = make_order(OrderKind::permuted, 5, tokens, longest / pieces, pieces);
  REQUIRE(cut.windows == whole.windows * pieces);
  for (std::int64_t sample = 0; sample < 2 * cut.windows; ++sample)
    CHECK(cut.window(sample) * (longest / pieces) ==
          whole.window(sample / pieces) * longest + sample % pieces * (longest / pieces));
}

TEST_CASE("the sequential order goes through the file and begins again") {
  const Order order = make_order(OrderKind::sequential, 0, 41, 10);
  CHECK(order.windows == 4);
  CHECK(order.window(3) == 3);
  CHECK(order.window(4) == 0);
}

TEST_CASE("the rwkv order is that of RWKV-LM") {
  const auto orders = nlohmann::json::parse(
      testing::bytes_of(std::filesystem::path(METASCALE_GOLDEN) / "formats" / "orders.json"));
  for (const auto& golden : orders.at("rwkv")) {
    const std::int64_t context = golden.at("ctx_len");
    const Order order = make_order(OrderKind::rwkv, 0, golden.at("tokens"), context);
    CHECK(order.windows == golden.at("magic_prime").get<std::int64_t>());
    std::int64_t sample = 0;
    for (const std::int64_t offset : golden.at("offsets"))
      CHECK(order.window(sample++) * context == offset);
  }
  for (const auto& golden : orders.at("rwkv_big")) {
    const Order order{.kind = OrderKind::rwkv, .windows = golden.at("magic_prime")};
    for (const auto& [number, offset] : golden.at("offsets").items())
      CHECK(order.window(std::stoll(number) - 1) * golden.at("ctx_len").get<std::int64_t>() ==
            offset.get<std::int64_t>());
  }
}

TEST_CASE("the magic primes of the Pile are found") {
  const auto [context, prime] = GENERATE(table<std::int64_t, std::int64_t>(
      {{4096, 81082817}, {2048, 162165671}, {1024, 324331313}, {8192, 40541399}}));
  CHECK(make_order(OrderKind::rwkv, 0, 332'115'325'534, context).windows == prime);
}

TEST_CASE("data shorter than one window is refused with both lengths") {
  const auto kind = GENERATE(OrderKind::permuted, OrderKind::sequential, OrderKind::rwkv);
  const std::string message =
      testing::error_of(ExitCode::bad_input, [&] { make_order(kind, 1, 64, 64); });
  CHECK_THAT(message, Catch::Contains("64 tokens") && Catch::Contains("takes 65"));
}

TEST_CASE("an unknown order is refused with the known ones") {
  CHECK(parse_order_kind("permuted") == OrderKind::permuted);
  CHECK_THAT(testing::error_of(ExitCode::usage, [] { parse_order_kind("shuffled"); }),
             Catch::Contains("'shuffled'") && Catch::Contains("sequential"));
}

TEST_CASE("seeds of order and run both change the mixed seed") {
  std::set<std::uint64_t> seeds;
  for (std::uint64_t order_seed = 0; order_seed < 20; ++order_seed)
    for (std::uint64_t run_seed = 0; run_seed < 20; ++run_seed)
      seeds.insert(mix_seeds(order_seed, run_seed));
  CHECK(seeds.size() == 400);
}

}  // namespace
}  // namespace metascale
