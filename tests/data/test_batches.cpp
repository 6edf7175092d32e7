#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "data/batches.hpp"
#include "tests/data/batch_memory.hpp"
#include "tests/data/token_set.hpp"

namespace metascale {
namespace {

using testing::BatchMemory;
using testing::TemporaryFolder;

struct Fixture {
  TemporaryFolder folder;
  TokenFile file{testing::write_token_set(folder, "train", testing::some_texts(2000))};
  std::int64_t context = 16, rows = 6;
  Order order = make_order(OrderKind::permuted, 99, file.tokens(), context);
  Batches batches{file, order, context, rows};
};

TEST_CASE_METHOD(Fixture, "a row is its window, and targets are the next tokens") {
  BatchMemory memory(rows, context);
  batches.fill(3, 0, memory.batch);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::vector<std::int32_t> window(17);
    file.read(order.window(3 * rows + row) * context, 17, window.data());
    for (std::size_t t = 0; t < 16; ++t) {
      CHECK(memory.tokens[std::size_t(row) * 16 + t] == window[t]);
      CHECK(memory.targets[std::size_t(row) * 16 + t] == window[t + 1]);
      CHECK(memory.weights[std::size_t(row) * 16 + t] == 1.0f);
    }
  }
}

TEST_CASE_METHOD(Fixture, "any split into micro-batches and ranks gives the same rows") {
  const std::int64_t part = GENERATE(1, 2, 3);
  const std::int64_t step = GENERATE(0, 11, 40);
  BatchMemory whole(rows, context);
  batches.fill(step, 0, whole.batch);
  std::vector<std::int32_t> tokens, targets, segment_ids;
  for (std::int64_t first = 0; first < rows; first += part) {
    BatchMemory piece(part, context);
    batches.fill(step, first, piece.batch);
    tokens.insert(tokens.end(), piece.tokens.begin(), piece.tokens.end());
    targets.insert(targets.end(), piece.targets.begin(), piece.targets.end());
    segment_ids.insert(segment_ids.end(), piece.segment_ids.begin(), piece.segment_ids.end());
  }
  CHECK(tokens == whole.tokens);
  CHECK(targets == whole.targets);
  CHECK(segment_ids == whole.segment_ids);
}

TEST_CASE_METHOD(Fixture, "a segment ends behind each end of document") {
  BatchMemory memory(rows, context);
  batches.fill(0, 0, memory.batch);
  for (std::size_t row = 0; row < 6; ++row) {
    std::int32_t segment = 0;
    for (std::size_t t = 0; t < 16; ++t) {
      CHECK(memory.segment_ids[row * 16 + t] == segment);
      segment += memory.tokens[row * 16 + t] == 256;
    }
  }
}

TEST_CASE_METHOD(Fixture, "an operand that is left out is not written") {
  BatchMemory memory(1, context);
  Batch batch{.rows = 1, .context = context, .targets = memory.targets.data()};
  batches.fill(0, 5, batch);
  CHECK(memory.tokens[0] == -7);
  CHECK(memory.targets[0] >= 0);
}

TEST_CASE_METHOD(Fixture, "the digest is a chain over the rows of all steps") {
  std::uint64_t expected = 0, digest = 0;
  for (std::int64_t step = 0; step < 3; ++step) {
    digest = batches.digest(digest, step);
    for (std::int64_t row = 0; row < rows; ++row) {
      std::vector<std::int32_t> ids(17);
      file.read(order.window(step * rows + row) * context, 17, ids.data());
      expected = xxh3_64(ids.data(), ids.size() * 4, expected);
    }
  }
  CHECK(digest == expected);
  CHECK(batches.digest(0, 0) != batches.digest(0, 1));
  CHECK(batches.digest(0, 1) != batches.digest(1, 1));
}

TEST_CASE_METHOD(Fixture, "a digest tells apart data that differs in one token") {
  auto texts = testing::some_texts(2000);
  texts[10].second[0] = texts[10].second[0] == 'x' ? 'y' : 'x';
  const TokenFile changed(testing::write_token_set(folder, "changed", texts));
  const Batches others(changed, order, context, rows);
  std::uint64_t a = 0, b = 0;
  const std::int64_t steps = order.windows / rows + 1;  // an epoch and more
  for (std::int64_t step = 0; step < steps; ++step) {
    a = batches.digest(a, step);
    b = others.digest(b, step);
  }
  CHECK(a != b);
}

TEST_CASE_METHOD(Fixture, "epochs count the passes over the data") {
  CHECK(batches.epochs(0) == 0);
  CHECK(batches.epochs(order.windows) == double(rows));
}

TEST_CASE_METHOD(Fixture, "rows outside of the batch are refused") {
  BatchMemory memory(2, context);
  CHECK_THROWS_AS(batches.fill(0, 5, memory.batch), Error);
  CHECK_THROWS_AS(batches.fill(-1, 0, memory.batch), Error);
  BatchMemory other(1, 8);
  CHECK_THROWS_AS(batches.fill(0, 0, other.batch), Error);
}

TEST_CASE_METHOD(Fixture, "an order made for a longer file is refused") {
  const Order longer = make_order(OrderKind::permuted, 99, 10 * file.tokens(), context);
  CHECK_THROWS_AS(Batches(file, longer, context, rows), Error);
}

TEST_CASE("behind the end of a file a row is padded with weight 0 in a segment of its own") {
  const TemporaryFolder folder;
  const TokenFile file(testing::write_token_set(folder, "set", {{"a", "abc"}, {"a", "d"}}));
  REQUIRE(file.tokens() == 6);
  BatchMemory memory(1, 8);
  fill_row(file, 1, 256, memory.batch, 0);
  CHECK(memory.tokens == std::vector<std::int32_t>{'b', 'c', 256, 'd', 256, 256, 256, 256});
  CHECK(memory.targets == std::vector<std::int32_t>{'c', 256, 'd', 256, 256, 256, 256, 256});
  CHECK(memory.weights == std::vector<float>{1, 1, 1, 1, 0, 0, 0, 0});
  CHECK(memory.segment_ids == std::vector<std::int32_t>{0, 0, 0, 1, 1, 2, 2, 2});
}

TEST_CASE("documents without tokens have no segment") {
  const TokenFile file(std::filesystem::path(METASCALE_GOLDEN) / "formats" /
                       "megatron_zero_length_u16");
  BatchMemory memory(1, 2);
  fill_row(file, 0, 0, memory.batch, 0);
  CHECK(memory.segment_ids == std::vector<std::int32_t>{0, 0});
  fill_row(file, 1, 0, memory.batch, 0);
  CHECK(memory.tokens == std::vector<std::int32_t>{6, 7});
  CHECK(memory.segment_ids == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("segment ids become the positions of their segments' first tokens, row by row") {
  std::vector<std::int32_t> ids{0, 0, 0, 1, 2, 2, 1, 1, 1, 1, 1, 2};
  to_first_positions(2, 6, ids.data());
  CHECK(ids == std::vector<std::int32_t>{0, 0, 0, 3, 4, 4, 0, 0, 0, 0, 0, 5});
}

}  // namespace
}  // namespace metascale
