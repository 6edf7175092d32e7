// Buckets and shards: ranks that each do their part do together what one rank does, bit for bit.
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "experiments/data_parallel.hpp"
#include "experiments/optimizer.hpp"
#include "tests/experiments/small_model.hpp"

namespace metascale {
namespace {

struct Recorded {
  ParameterList list;
  Program program{testing::small_model(Architecture::meta_state), {.rows = 2, .context = 8}, list};
};

std::vector<Bucket> buckets_of(const Recorded& recorded, std::int64_t least) {
  return gradient_buckets(recorded.list, recorded.program.tape(), least);
}

TEST_CASE("buckets cover the arenas once, in the order in which a backward completes them") {
  const Recorded recorded;
  const std::int64_t least = GENERATE(1, 1000, 1 << 30);
  const auto buckets = buckets_of(recorded, least);
  std::vector<int> covered(std::size_t(recorded.list.arena_elements()), 0);
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const Range& elements = buckets[i].elements;
    for (std::int64_t e = elements.begin; e < elements.end; ++e) ++covered[std::size_t(e)];
    if (i > 0) CHECK(buckets[i - 1].ready <= buckets[i].ready);
  }
  CHECK(std::count(covered.begin(), covered.end(), 1) == recorded.list.arena_elements());
  CHECK((least == 1 << 30) == (buckets.size() == 1));
}

TEST_CASE("most of the backward is still to come when the first bucket is ready") {
  const Recorded recorded;
  const auto buckets = buckets_of(recorded, 1);
  const std::size_t steps = recorded.program.tape().step_count();
  CHECK(buckets.front().ready < steps * 3 / 4);
  CHECK(buckets.back().ready == steps - 1);  // the embedding
}

TEST_CASE("the gradients of a bucket change no more once it is ready") {
  Recorded recorded;
  ParameterMemory memory(recorded.list, Device::cpu, Dtype::f32);
  initialise(recorded.list, memory, 1);
  recorded.program.allocate(Device::cpu, memory);
  testing::fill_inputs(recorded.program);
  const auto buckets = buckets_of(recorded, 1);
  const auto* gradients = reinterpret_cast<const float*>(memory.gradients.data());
  std::vector<float> seen(std::size_t(memory.elements), -1);
  Queue queue;
  std::size_t next = 0;
  recorded.program.execute(queue, [&](std::size_t step) {
    for (; next < buckets.size() && buckets[next].ready <= step; ++next)
      std::copy(gradients + buckets[next].elements.begin, gradients + buckets[next].elements.end,
                seen.begin() + buckets[next].elements.begin);
  });
  CHECK(next == buckets.size());
  CHECK(std::memcmp(seen.data(), gradients, seen.size() * sizeof(float)) == 0);
  CHECK(*std::max_element(seen.begin(), seen.end()) > 0);
}

// Values and gradients that a step may start from.
void fill(ParameterMemory& memory) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (const Buffer* arena : {&memory.values, &memory.gradients})
    for (std::int64_t i = 0; i < memory.elements; ++i)
      reinterpret_cast<float*>(arena->data())[i] = normal(random);
}

void copy(const Buffer& from, const Buffer& to) {
  std::memcpy(to.data(), from.data(), from.bytes());
}

TEST_CASE("ranks that update their shards make the update of one rank, bit for bit") {
  const Recorded recorded;
  const int ranks = GENERATE(2, 3, 7);
  const OptimizerConfig config{.learning_rate = 1e-3};
  ParameterMemory whole(recorded.list, Device::cpu, Dtype::f32);
  fill(whole);
  ParameterMemory gathered(recorded.list, Device::cpu, Dtype::f32);
  copy(whole.values, gathered.values);

  double squares = 0;
  std::int64_t moments = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const Shards shards(buckets_of(recorded, 500), rank, ranks);
    ParameterMemory memory(recorded.list, Device::cpu, Dtype::f32, false, shards.moment_elements());
    copy(whole.values, memory.values);
    copy(whole.gradients, memory.gradients);
    Queue queue;
    Optimizer optimizer(queue, config, recorded.list, memory, {}, shards);
    optimizer.send_gradient_norm(queue);
    squares += optimizer.squared_gradient_norm();
    for (std::int64_t step = 1; step <= 3; ++step) optimizer.update(queue, 1e-3, 2.0, step);
    for (const auto& piece : shards.mine())
      std::memcpy(gathered.values.data() + 4 * piece.elements.begin,
                  memory.values.data() + 4 * piece.elements.begin,
                  std::size_t(4 * piece.elements.size()));
    moments += shards.moment_elements();
  }
  CHECK(moments == recorded.list.arena_elements());  // each is kept by one rank

  Queue queue;
  Optimizer optimizer(queue, config, recorded.list, whole);
  optimizer.send_gradient_norm(queue);
  CHECK(squares == Approx(optimizer.squared_gradient_norm()).epsilon(1e-12));
  for (std::int64_t step = 1; step <= 3; ++step) optimizer.update(queue, 1e-3, 2.0, step);
  CHECK(std::memcmp(whole.values.data(), gathered.values.data(), whole.values.bytes()) == 0);
}

TEST_CASE("a micro-batch leaves every rank one, and stays what it was where it can") {
  CHECK(shared_micro_batch(8, 1, 8) == 8);
  CHECK(shared_micro_batch(8, 4, 2) == 2);
  CHECK(shared_micro_batch(8, 4, 8) == 2);
  CHECK(shared_micro_batch(8, 3, 8) == 2);
  CHECK(shared_micro_batch(9, 2, 4) == 3);
  CHECK(shared_micro_batch(7, 7, 7) == 1);
  CHECK_THROWS_AS(shared_micro_batch(4, 5, 1), Error);
}

}  // namespace
}  // namespace metascale
