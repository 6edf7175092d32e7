#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

#include "data/evaluation_windows.hpp"
#include "tests/data/token_set.hpp"

namespace metascale {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

const auto bytes = make_tokenizer("bytes");

// Ids 1..99 stand for as many bytes as their value, 0 ends a document; its identity is "counted".
class CountedTokenizer final : public Tokenizer {
 public:
  std::string name() const override { return "counted"; }
  std::string identity() const override { return "counted"; }
  std::int32_t vocabulary() const override { return 100; }
  std::int32_t end_of_document() const override { return 0; }
  void encode(std::string_view, std::vector<std::int32_t>&) const override {}
  std::int64_t byte_length(std::int32_t id) const override { return id; }
  std::string decode(std::span<const std::int32_t>) const override { return ""; }
};

TEST_CASE("every token but the first is scored once, and no end of a document") {
  const std::int64_t context = GENERATE(1, 2, 7, 64, 5000);
  const TemporaryFolder folder;
  const auto texts = testing::some_texts(1500);
  const TokenFile file(testing::write_token_set(folder, "test", texts));
  const EvaluationWindows windows(file, *bytes, context);
  CHECK(windows.size() == (file.tokens() - 2) / context + 1);
  CHECK(windows.coverage() == "all");
  CHECK(windows.tokens() == file.info().bytes - 1);
  CHECK(windows.bytes() == file.info().bytes - 1);
  std::vector<std::int64_t> of_document(texts.size());
  for (const EvaluationSegment& segment : windows.segments()) {
    CHECK(segment.tokens > 0);
    CHECK(segment.bytes == segment.tokens);
    CHECK(segment.domain == segment.document % 3);
    of_document[std::size_t(segment.document)] += segment.tokens;
  }
  for (std::size_t i = 0; i < texts.size(); ++i)
    CHECK(of_document[i] == std::int64_t(texts[i].second.size()) - (i == 0));
}

TEST_CASE("weights are 1 exactly where a segment is, and those targets are of its document") {
  const std::int64_t context = 32;
  const TemporaryFolder folder;
  const TokenFile file(testing::write_token_set(folder, "test", testing::some_texts(1000)));
  const EvaluationWindows windows(file, *bytes, context);
  std::vector<std::int32_t> tokens(32), targets(32);
  std::vector<float> weights(32);
  for (std::int64_t i = 0; i < windows.size(); ++i) {
    windows.fill(i, {.rows = 1,
                     .context = context,
                     .tokens = tokens.data(),
                     .targets = targets.data(),
                     .weights = weights.data()});
    std::vector<float> expected(32);
    for (const EvaluationSegment& segment : windows.segments_of(i))
      for (std::int64_t t = segment.first; t < segment.first + segment.tokens; ++t) {
        expected[std::size_t(t)] = 1;
        CHECK(file.document_of(windows.window(i) * context + 1 + t) == segment.document);
        CHECK(targets[std::size_t(t)] != 256);
      }
    CHECK(weights == expected);
  }
}

TEST_CASE("rows behind the last window have weight 0") {
  const TemporaryFolder folder;
  const TokenFile file(testing::write_token_set(folder, "test", {{"a", "abcdefg"}}));
  const EvaluationWindows windows(file, *bytes, 4);
  REQUIRE(windows.size() == 2);
  std::vector<std::int32_t> tokens(12, -7), targets(12, -7);
  std::vector<float> weights(12, -7);
  windows.fill(0, {.rows = 3,
                   .context = 4,
                   .tokens = tokens.data(),
                   .targets = targets.data(),
                   .weights = weights.data()});
  CHECK(weights == std::vector<float>{1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0});
  CHECK(tokens ==
        std::vector<std::int32_t>{'a', 'b', 'c', 'd', 'e', 'f', 'g', 256, 256, 256, 256, 256});
}

TEST_CASE("a subset is spread evenly, named, and has a digest of its own") {
  const TemporaryFolder folder;
  const TokenFile file(testing::write_token_set(folder, "test", testing::some_texts(1605)));
  const EvaluationWindows all(file, *bytes, 16), some(file, *bytes, 16, 10);
  CHECK(some.size() == 10);
  CHECK(some.coverage() == concat("10 of ", all.size(), " windows"));
  for (std::int64_t i = 0; i < 10; ++i) CHECK(some.window(i) == (2 * i + 1) * all.size() / 20);
  CHECK(some.digest() != all.digest());
  CHECK(some.digest() == EvaluationWindows(file, *bytes, 16, 10).digest());
  CHECK(EvaluationWindows(file, *bytes, 16, 1'000'000).coverage() == "all");
}

TEST_CASE("the digest depends on the text, its domains and the context") {
  const TemporaryFolder folder;
  const auto digest_of = [&](const testing::Texts& texts, std::int64_t context) {
    const TokenFile file(testing::write_token_set(folder, "test", texts));
    return EvaluationWindows(file, *bytes, context).digest();
  };
  const std::set<std::uint64_t> digests{
      digest_of({{"a", "some"}, {"b", "text"}}, 4), digest_of({{"a", "some"}, {"b", "test"}}, 4),
      digest_of({{"a", "some"}, {"c", "text"}}, 4), digest_of({{"a", "some"}, {"b", "text"}}, 5)};
  CHECK(digests.size() == 4);
}

TEST_CASE(
    "bytes are those of the scored tokens, and whole documents count their raw bytes exactly") {
  const CountedTokenizer counted;
  const TemporaryFolder folder;
  {
    TokenSetWriter writer(folder / "test", counted);
    writer.add(std::vector<std::int32_t>{9, 0}, "a", 9);
    writer.add(std::vector<std::int32_t>{3, 5, 7, 2, 0}, "a", 20);  // 3 more than its tokens say
    writer.add(std::vector<std::int32_t>{4, 6, 8, 0}, "b", 17);     // 1 less
    writer.finish({});
  }
  const TokenFile file(folder / "test");
  const EvaluationWindows windows(file, counted, 4);
  std::map<std::int64_t, std::int64_t> bytes_of_document;
  std::vector<std::int64_t> of_segments;
  for (const EvaluationSegment& segment : windows.segments()) {
    bytes_of_document[segment.document] += segment.bytes;
    of_segments.push_back(segment.bytes);
  }
  CHECK(bytes_of_document[1] == 20);
  CHECK(bytes_of_document[2] == 17);
  CHECK(of_segments ==
        std::vector<std::int64_t>{15, 5, 10, 7});  // windows end behind the 4th and 8th target
}

TEST_CASE("an end of document inside of a text is scored, and the one that closes it is not") {
  const CountedTokenizer counted;
  const TemporaryFolder folder;
  {
    TokenSetWriter writer(folder / "test", counted);
    writer.add(std::vector<std::int32_t>{3, 0, 7, 0}, "a", 23);
    writer.finish({});
  }
  const TokenFile file(folder / "test");
  const EvaluationWindows windows(file, counted, 8);
  CHECK(windows.tokens() == 2);
  CHECK(windows.bytes() == 20);  // all but the first token's
}

TEST_CASE("a file of another tokenizer is refused with both") {
  const TemporaryFolder folder;
  const TokenFile file(testing::write_token_set(folder, "test", {{"a", "abc"}}));
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { EvaluationWindows(file, CountedTokenizer(), 4); }),
             Catch::Contains("bytes v1") && Catch::Contains("'counted'"));
}

TEST_CASE("of some domains only their tokens are scored, in windows that hold any") {
  const auto protocol =
      GENERATE(EvaluationProtocol::packed_windows, EvaluationProtocol::rolling_documents);
  const TemporaryFolder folder;
  const TokenFile file(testing::write_token_set(
      folder, "test",
      {{"a", "abcdefghijklmnop"}, {"b", "0123456789"}, {"a", "qr"}, {"c", std::string(40, 'z')}}));
  const EvaluationWindows all(file, *bytes, 4, 0, protocol),
      some(file, *bytes, 4, 0, protocol, {"b"});
  CHECK(some.tokens() == 10);
  CHECK(some.bytes() == 10);
  CHECK(some.coverage() == "all, only b");
  CHECK(some.digest() != all.digest());
  REQUIRE(some.size() >= 3);
  CHECK(some.size() < all.size());
  std::vector<std::int32_t> targets(4);
  std::vector<float> weights(4);
  std::string scored;
  for (std::int64_t i = 0; i < some.size(); ++i) {
    some.fill(i, {.rows = 1, .context = 4, .targets = targets.data(), .weights = weights.data()});
    for (std::size_t t = 0; t < 4; ++t)
      if (weights[t] > 0) scored += char(targets[t]);
  }
  CHECK(scored == "0123456789");

  const EvaluationWindows thin(file, *bytes, 4, 2, protocol, {"b", "c"});
  CHECK(thin.size() == 2);
  CHECK_THAT(thin.coverage(), Catch::StartsWith("2 of ") && Catch::EndsWith("windows, only b, c"));
  CHECK(EvaluationWindows(file, *bytes, 4, 0, protocol, {"a", "b", "c"}).tokens() == all.tokens());
  CHECK_THAT(
      error_of(ExitCode::usage, [&] { EvaluationWindows(file, *bytes, 4, 0, protocol, {"d"}); }),
      Catch::Contains("has no domain 'd', only a, b, c"));
}

TEST_CASE("a set without a token to score is refused") {
  const TokenFile file(std::filesystem::path(METASCALE_GOLDEN) / "formats" / "megatron_empty_u16");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { EvaluationWindows(file, *bytes, 4); }),
             Catch::Contains("has 0 tokens"));
}

struct Rolling {
  TemporaryFolder folder;
  TokenFile file{testing::write_token_set(
      folder, "test", {{"a", "abc"}, {"b", "0123456789"}, {"a", "efgh"}, {"b", "x"}})};
  EvaluationWindows windows{file, *bytes, 4, 0, EvaluationProtocol::rolling_documents};
  std::vector<std::int32_t> tokens = std::vector<std::int32_t>(24), targets = tokens,
                            segment_ids = tokens;
  std::vector<float> weights = std::vector<float>(24);
  void fill() {
    windows.fill(0, {.rows = 6,
                     .context = 4,
                     .tokens = tokens.data(),
                     .targets = targets.data(),
                     .weights = weights.data(),
                     .segment_ids = segment_ids.data()});
  }
};

TEST_CASE_METHOD(Rolling,
                 "rolling windows begin anew with each document, behind an end of document") {
  REQUIRE(windows.size() == 6);
  fill();
  constexpr std::int32_t end = 256;
  CHECK(tokens == std::vector<std::int32_t>{end, 'a', 'b', end,    // abc, filled up
                                            end, '0', '1', '2',    // 0123
                                            '3', '4', '5', '6',    // 4567
                                            '5', '6', '7', '8',    // 89, moved left
                                            end, 'e', 'f', 'g',    // efgh
                                            end, end, end, end});  // x
  CHECK(targets == std::vector<std::int32_t>{'a', 'b', 'c', end, '0', '1', '2', '3',
                                             '4', '5', '6', '7', '6', '7', '8', '9',
                                             'e', 'f', 'g', 'h', 'x', end, end, end});
  CHECK(weights ==
        std::vector<float>{1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0});
  CHECK(segment_ids == std::vector<std::int32_t>{0, 1, 1, 2, 0, 1, 1, 1, 0, 0, 0, 0,
                                                 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1});
}

TEST_CASE_METHOD(Rolling,
                 "rolling windows score each token of each document once, with its bytes") {
  CHECK(windows.tokens() == 18);
  CHECK(windows.bytes() == 18);
  std::vector<std::int64_t> tokens_of(4);
  for (const EvaluationSegment& segment : windows.segments())
    tokens_of[std::size_t(segment.document)] += segment.tokens;
  CHECK(tokens_of == std::vector<std::int64_t>{3, 10, 4, 1});
  REQUIRE(windows.segments_of(3).size() == 1);
  CHECK(windows.segments_of(3)[0].first == 2);
  CHECK(windows.segments_of(3)[0].tokens == 2);
}

TEST_CASE_METHOD(Rolling, "chosen rolling windows are windows of the whole set") {
  const EvaluationWindows some(file, *bytes, 4, 2, EvaluationProtocol::rolling_documents);
  CHECK(some.coverage() == "2 of 6 windows");
  for (std::int64_t index = 0; index < 2; ++index) {
    const auto all = windows.segments_of(some.window(index)), one = some.segments_of(index);
    REQUIRE(one.size() == 1);
    CHECK(one[0].document == all[0].document);
    CHECK(one[0].first == all[0].first);
    CHECK(one[0].bytes == all[0].bytes);
  }
}

TEST_CASE_METHOD(Rolling, "the two protocols have other digests, and an unknown one is refused") {
  CHECK(windows.digest() != EvaluationWindows(file, *bytes, 4).digest());
  CHECK(parse_evaluation_protocol("rolling_documents") == windows.protocol());
  CHECK_THAT(testing::error_of(ExitCode::usage, [] { parse_evaluation_protocol("sliding"); }),
             Catch::Contains("'sliding'") && Catch::Contains("packed_windows"));
}

}  // namespace
}  // namespace metascale
