// What every communicator must do, as one text. A factory says how to get one and where its memory
// is.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "core/communicator.hpp"

namespace metascale::testing {

// Values on the communicator's own memory (host or device), written and read from the host.
// Factory: Communicator& ranks(); and Memory, made of (bytes), with data(), write(source) and
// read(target).
template <typename Factory, typename T>
class RankValues {
 public:
  explicit RankValues(std::vector<T> values)
      : host_(std::move(values)), memory_(host_.size() * sizeof(T)) {
    memory_.write(host_.data());
  }
  Tensor tensor() const {
    return {.data = memory_.data(), .shape = {std::int64_t(host_.size())}, .dtype = dtype_of<T>};
  }
  const std::vector<T>& read() {
    memory_.read(host_.data());
    return host_;
  }

 private:
  std::vector<T> host_;
  typename Factory::Memory memory_;
};

// A value that differs in rank and place, and whose sums round.
inline double term(int rank, std::int64_t place) {
  return std::sin(double(1 + rank) * 1.7 + double(place) * 0.31) *
         std::pow(10.0, double((place + rank) % 5));
}

template <typename T>
T term_of(int rank, std::int64_t place) {
  if constexpr (std::is_same_v<T, std::int32_t>)
    return T(place % 1000 + rank);
  else
    return T(float(term(rank, place)));
}

template <typename T>
std::vector<T> terms_of(int rank, std::int64_t count) {
  std::vector<T> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(term_of<T>(rank, i));
  return values;
}

// The sum over ranks in f64, in their order, before it is rounded to T.
template <typename T>
double exact_sum(int ranks, std::int64_t place) {
  double sum = 0;
  for (int rank = 0; rank < ranks; ++rank) sum += double(term_of<T>(rank, place));
  return sum;
}

// How far a sum in T may be from that, in whatever order it is added.
template <typename T>
double rounding_of(int ranks, std::int64_t place) {
  const double unit = std::is_same_v<T, bfloat16>       ? 0x1.0p-7
                      : std::is_same_v<T, float>        ? 0x1.0p-23
                      : std::is_same_v<T, std::int32_t> ? 0
                                                        : 0x1.0p-51;
  double sum = 0;
  for (int rank = 0; rank < ranks; ++rank) sum += std::abs(double(term_of<T>(rank, place)));
  return unit * sum * ranks;
}

template <typename Factory, typename T>
void all_reduce_sums(std::int64_t count) {
  Communicator& ranks = Factory::ranks();
  RankValues<Factory, T> values(terms_of<T>(ranks.rank(), count));
  ranks.all_reduce(values.tensor(), Reduction::sum);
  ranks.wait();
  const auto& found = values.read();
  for (std::int64_t i = 0; i < count; i += 1 + count / 500)
    REQUIRE(std::abs(double(found[std::size_t(i)]) - exact_sum<T>(ranks.size(), i)) <=
            rounding_of<T>(ranks.size(), i));
}

template <typename Factory>
void every_rank_has_the_same_bits(std::int64_t count) {
  Communicator& ranks = Factory::ranks();
  RankValues<Factory, float> values(terms_of<float>(ranks.rank(), count));
  ranks.all_reduce(values.tensor(), Reduction::sum);
  ranks.wait();
  const std::vector<float> mine = values.read();
  RankValues<Factory, float> of_last(mine);
  ranks.broadcast(of_last.tensor(), ranks.size() - 1);
  ranks.wait();
  REQUIRE((of_last.read() == mine));
}

template <typename Factory>
void max_takes_the_greatest() {
  Communicator& ranks = Factory::ranks();
  RankValues<Factory, double> values({double(ranks.rank()), -1.0 - ranks.rank()});
  ranks.all_reduce(values.tensor(), Reduction::max);
  ranks.wait();
  const auto& found = values.read();
  CHECK(found[0] == ranks.size() - 1);
  CHECK(found[1] == -1);
}

template <typename Factory>
void reduce_scatter_then_all_gather_is_all_reduce(std::int64_t count) {
  Communicator& ranks = Factory::ranks();
  RankValues<Factory, float> whole(terms_of<float>(ranks.rank(), count));
  RankValues<Factory, float> parts(terms_of<float>(ranks.rank(), count));
  ranks.all_reduce(whole.tensor(), Reduction::sum);
  ranks.reduce_scatter(parts.tensor(), Reduction::sum);
  ranks.wait();
  const Range mine = part_of(count, ranks.rank(), ranks.size());
  const std::vector<float> sums = whole.read(), own = parts.read();
  const auto near_sum = [&](std::int64_t i) {  // added in another order
    return Approx(sums[std::size_t(i)]).epsilon(0).margin(2 * rounding_of<float>(ranks.size(), i));
  };
  for (std::int64_t i = mine.begin; i < mine.end; ++i) REQUIRE(own[std::size_t(i)] == near_sum(i));
  ranks.all_gather(parts.tensor());
  ranks.wait();
  const std::vector<float> gathered = parts.read();
  for (std::size_t i = 0; i < gathered.size(); i += 1 + gathered.size() / 500)
    REQUIRE(gathered[i] == near_sum(std::int64_t(i)));
}

template <typename Factory>
void all_gather_moves_bits(std::int64_t count) {
  Communicator& ranks = Factory::ranks();
  std::vector<std::int32_t> values(std::size_t(count), -1);
  const Range mine = part_of(count, ranks.rank(), ranks.size());
  for (std::int64_t i = mine.begin; i < mine.end; ++i) values[std::size_t(i)] = std::int32_t(7 * i);
  RankValues<Factory, std::int32_t> all(std::move(values));
  ranks.all_gather(all.tensor());
  ranks.wait();
  const auto& found = all.read();
  for (std::int64_t i = 0; i < count; i += 1 + count / 2000)
    REQUIRE(found[std::size_t(i)] == 7 * i);
}

template <typename Factory>
void broadcast_comes_from_its_root(int root) {
  Communicator& ranks = Factory::ranks();
  if (root >= ranks.size()) return;
  RankValues<Factory, float> values(terms_of<float>(ranks.rank(), 1000));
  ranks.broadcast(values.tensor(), root);
  ranks.wait();
  CHECK((values.read() == terms_of<float>(root, 1000)));
}

template <typename Factory>
void operations_are_done_in_the_order_they_were_begun() {
  Communicator& ranks = Factory::ranks();
  RankValues<Factory, float> values(std::vector<float>(10, 1.0f));
  for (int i = 0; i < 3; ++i) ranks.all_reduce(values.tensor(), Reduction::sum);
  ranks.barrier();
  ranks.wait();
  CHECK(values.read()[9] == std::pow(float(ranks.size()), 3.0f));
}

}  // namespace metascale::testing
