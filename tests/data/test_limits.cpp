// How large the data may be.
#include <catch2/catch.hpp>

#include "data/batches.hpp"
#include "data/evaluation_windows.hpp"
#include "data/split.hpp"
#include "data/token_writer.hpp"
#include "tests/data/batch_memory.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

using testing::BatchMemory;
using testing::error_of;
using testing::TemporaryFolder;

constexpr std::int64_t billion = 1'000'000'000;

template <typename Number>
void append(std::string& bytes, Number number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

// A thousand documents of a million tokens, all of them 0 but the last two: 2 GB that are a hole.
std::filesystem::path write_a_billion_tokens(const TemporaryFolder& folder) {
  constexpr std::int64_t documents = 1000, each = billion / documents;
  std::string idx("MMIDIDX\0\0", 9);
  append(idx, std::uint64_t(1));
  append(idx, std::uint8_t(TokenType::u16));
  append(idx, std::uint64_t(documents));
  append(idx, std::uint64_t(documents + 1));
  for (std::int64_t i = 0; i < documents; ++i) append(idx, std::int32_t(each));
  for (std::int64_t i = 0; i < documents; ++i) append(idx, 2 * each * i);
  for (std::int64_t i = 0; i <= documents; ++i) append(idx, i);
  folder.write("huge.idx", idx);
  const auto bin = folder.write("huge.bin", "");
  std::filesystem::resize_file(bin, 2 * billion - 4);
  std::ofstream(bin, std::ios::binary | std::ios::app).write("\x07\0\x08\0", 4);
  return folder / "huge";
}

TEST_CASE("a billion tokens are opened, ordered, cut into batches and evaluated as few are") {
  const TemporaryFolder folder;
  const TokenFile file(write_a_billion_tokens(folder));
  REQUIRE(file.tokens() == billion);
  CHECK(file.documents() == 1000);
  CHECK(file.document_of(billion - 1) == 999);
  CHECK(file.document_begin(999) == billion - 1'000'000);
  std::int32_t ids[3];
  file.read(billion - 3, 3, ids);
  CHECK((ids[0] == 0 && ids[1] == 7 && ids[2] == 8));

  const std::int64_t context = 2048, rows = 8;
  const Order order = make_order(OrderKind::permuted, 1, file.tokens(), context);
  CHECK(order.windows == (billion - 1) / context);
  BatchMemory memory(rows, context);
  const Batches batches(file, order, context, rows);
  batches.fill(order.windows / rows, 0,
               memory.batch);  // the last windows of an epoch, and the next
  for (const std::int32_t id : memory.tokens) REQUIRE((id == 0 || id == 7 || id == 8));
  CHECK(batches.epochs(order.windows) == rows);

  const auto bytes = make_tokenizer("bytes");
  const EvaluationWindows windows(file, *bytes, context, 10);
  CHECK(windows.size() == 10);
  CHECK(windows.tokens() == 10 * context);
}

TEST_CASE("a split by hash is refused a domain more than token files can tell apart") {
  HashSplit split(HashSplit::Shares{});
  const auto add = [&](std::size_t domain) { split.add("text", std::to_string(domain)); };
  for (std::size_t domain = 0; domain < HashSplit::most_domains; ++domain) add(domain);
  add(0);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { add(HashSplit::most_domains); }),
             Catch::Contains("more than 65535 domains"));
}

TEST_CASE("a vocabulary of 262,144 ids is written and read, and held against its end") {
  const TemporaryFolder folder;
  const std::vector<std::int32_t> ids{0, 65'535, 65'536, 262'143};
  REQUIRE(token_type_for(262'144) == TokenType::i32);
  TokenWriter writer(folder / "wide", token_type_for(262'144));
  writer.add_sequence(ids);
  writer.end_document();
  writer.finish();
  CHECK(TokenFile(folder / "wide", {.vocabulary = 262'144, .end_of_document = 0}).sequence(0) ==
        ids);
  const TokenFile narrow(folder / "wide", {.vocabulary = 262'143, .end_of_document = 0});
  std::int32_t read[4];
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { narrow.read(0, 4, read); }),
             Catch::Contains("position 3"));
}

}  // namespace
}  // namespace metascale
