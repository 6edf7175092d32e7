#include <algorithm>
#include <catch2/catch.hpp>

#include "data/inspect.hpp"
#include "tests/data/token_set.hpp"

namespace metascale {
namespace {

using testing::bytes_of;
using testing::TemporaryFolder;

const testing::Texts few{{"a", ""}, {"b", "xyz"}, {"a", "0123456789"}, {"b", "q"}};

std::string faults_of(const std::filesystem::path& path) {
  std::string faults;
  for (const Check& check : verify_token_file(path))
    if (!check.passed) faults += check.what + ": " + check.fault + "\n";
  return faults;
}

TEST_CASE("an inspection counts domains and lengths in the files") {
  const TemporaryFolder folder;
  const Inspection result = inspect_token_file(testing::write_token_set(folder, "set", few));
  REQUIRE(result.domains.size() == 2);
  CHECK(result.domains[0].documents == 2);
  CHECK(result.domains[0].tokens == 12);
  CHECK(result.domains[1].bytes == 4);
  std::vector<std::int64_t> documents;
  for (const LengthBin& bin : result.lengths) documents.push_back(bin.documents);
  CHECK(documents == std::vector<std::int64_t>{0, 1, 1, 1, 1});  // of 0, 1, 2-3, 4-7, 8-15 tokens
  CHECK(result.lengths.back().least == 8);
  CHECK(result.lengths.back().most == 15);
}

TEST_CASE("samples show the beginning of documents, cut between characters") {
  const TemporaryFolder folder;
  testing::write_token_set(folder, "set", {{"a", "12\xc3\xa4"}});
  const Inspection result = inspect_token_file(folder / "set", {.samples = 5, .sample_bytes = 3});
  REQUIRE(result.samples.size() == 1);
  CHECK(result.samples[0].domain == "a");
  CHECK(result.samples[0].tokens == 5);
  CHECK(result.samples[0].text.substr(0, 2) == "12");
  CHECK(result.samples[0].text.size() <= 5);
}

TEST_CASE("a foreign file is inspected without samples") {
  const Inspection result = inspect_token_file(std::filesystem::path(METASCALE_GOLDEN) / "formats" /
                                               "megatron_sentences_u16");
  CHECK(result.documents == 3);
  CHECK(result.domains[0].bytes == -1);
  CHECK(result.samples.empty());
}

TEST_CASE(
    "flat files are inspected and verified by their format, with documents and samples where "
    "the tokenizer is told") {
  const TemporaryFolder folder;
  const std::vector<std::uint16_t> ids{'a', 'b', 256, 'c', 256};
  folder.write("flat.bin",
               std::string(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof ids[0]));
  const Inspection bare = inspect_token_file(folder / "flat", {.layout = TokenLayout::raw_u16});
  CHECK(bare.tokens == 5);
  CHECK(bare.documents == 1);
  CHECK(bare.samples.empty());
  const Inspection told =
      inspect_token_file(folder / "flat", {.tokenizer = "bytes", .layout = TokenLayout::raw_u16});
  CHECK(told.documents == 2);
  REQUIRE(told.samples.size() == 2);
  CHECK(told.samples[0].text == "ab");
  const ForeignTokens as_bytes{.layout = TokenLayout::raw_u16, .tokenizer = "bytes"};
  const auto checks = verify_token_file(folder / "flat", as_bytes);
  CHECK(checks.size() == 2);
  for (const Check& check : checks) CHECK(check.passed);
  const auto as_llm_c = verify_token_file(folder / "flat", {.layout = TokenLayout::llm_c});
  REQUIRE(as_llm_c.size() == 1);
  CHECK_THAT(as_llm_c[0].fault, Catch::Contains("llm.c's header"));
  folder.write("odd.bin", "abc");
  CHECK_THAT(verify_token_file(folder / "odd", as_bytes)[0].fault, Catch::Contains("no multiple"));
  folder.write("high.bin", "\x01\x02");  // id 513 of 257
  CHECK_FALSE(verify_token_file(folder / "high", as_bytes)[0].passed);
}

TEST_CASE("a token set as it was written passes every check") {
  const TemporaryFolder folder;
  const auto checks = verify_token_file(testing::write_token_set(folder, "set", few));
  CHECK(checks.size() == 7);
  CHECK(std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.passed; }));
}

TEST_CASE("one changed byte anywhere is found") {
  const TemporaryFolder folder;
  const auto path = testing::write_token_set(folder, "set", few);
  const std::string ending = GENERATE(".bin", ".idx", ".documents");
  const std::string whole = bytes_of(folder / ("set" + ending));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = char(changed[i] ^ 1);
    folder.write("set" + ending, changed);
    INFO(ending << " byte " << i);
    CHECK_FALSE(faults_of(path).empty());
  }
}

// Beyond the first and last MiB the fingerprint sees nothing: the digests must.
TEST_CASE("a change in the middle of a large file is found by its digest") {
  const TemporaryFolder folder;
  testing::Texts texts(30, {"a", std::string(100'000, 'x')});
  const auto path = testing::write_token_set(folder, "set", texts);
  std::string bin = bytes_of(folder / "set.bin");
  bin[bin.size() / 2] = 'y';
  folder.write("set.bin", bin);
  CHECK_NOTHROW(TokenFile(path));
  CHECK_THAT(faults_of(path), Catch::Contains("sha256 of set.bin"));
}

TEST_CASE("an id that the tokenizer does not have is found") {
  const TemporaryFolder folder;
  testing::Texts texts(30, {"a", std::string(100'000, 'x')});
  const auto path = testing::write_token_set(folder, "set", texts);
  std::string bin = bytes_of(folder / "set.bin");
  bin[bin.size() / 2 + 1] = 9;
  folder.write("set.bin", bin);
  CHECK_THAT(faults_of(path), Catch::Contains("token ids of set.bin"));
}

TEST_CASE("a file that cannot be read fails the first check, and one that is not there is named") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "folder.idx");
  const auto checks = verify_token_file(folder / "folder");
  REQUIRE(checks.size() == 1);
  CHECK_THAT(checks[0].fault, Catch::Contains("folder.idx: cannot read it as a file"));
  CHECK_THAT(testing::error_of(ExitCode::usage, [&] { verify_token_file(folder / "none"); }),
             Catch::Contains("none.idx: cannot open it: No such file"));
}

}  // namespace
}  // namespace metascale
