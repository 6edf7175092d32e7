// Token files without an index: other people's, read and written.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "data/convert.hpp"
#include "data/token_writer.hpp"
#include "tests/data/token_set.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

using testing::all_of;
using testing::bytes_of;
using testing::error_of;
using testing::TemporaryFolder;

const std::filesystem::path formats = std::filesystem::path(METASCALE_GOLDEN) / "formats";

const std::initializer_list<std::tuple<std::string, TokenLayout>> flat_files{
    {"llmc_gpt2_u16.bin", TokenLayout::llm_c},
    {"llmc_llama3_u32.bin", TokenLayout::llm_c},
    {"nanogpt_u16.bin", TokenLayout::raw_u16},
    {"nanogpt_u32.bin", TokenLayout::raw_u32},
};

TEST_CASE("flat files are read as their list of contents says, as one document") {
  const auto [name, layout] = GENERATE(table<std::string, TokenLayout>(flat_files));
  INFO(name);
  const TokenFile file(formats / name, {.layout = layout});
  const auto contents = nlohmann::json::parse(bytes_of(formats / "contents.json"));
  const std::vector<std::int32_t> expected = contents.at(name).at("tokens");
  CHECK(all_of(file) == expected);
  CHECK(file.documents() == 1);
  CHECK(file.document_of(file.tokens() - 1) == 0);
  CHECK(file.document_begin(1) == file.tokens());
}

TEST_CASE("every flat file is written again byte for byte") {
  const auto [name, layout] = GENERATE(table<std::string, TokenLayout>(flat_files));
  INFO(name);
  const TemporaryFolder folder;
  const TokenFile golden(formats / name, {.layout = layout});
  const FlatTokens written = write_flat_tokens(golden, layout, folder / "again");
  CHECK(written.path == folder / "again.bin");
  CHECK(written.tokens == golden.tokens());
  CHECK(written.type == golden.type());
  CHECK(bytes_of(folder / "again.bin") == bytes_of(formats / name));
}

TEST_CASE("a set with an index becomes a flat file of the same tokens, in every form") {
  const TemporaryFolder folder;
  const TokenFile set(formats / "megatron_u16");
  const auto layout = GENERATE(TokenLayout::llm_c, TokenLayout::raw_u16, TokenLayout::raw_u32);
  write_flat_tokens(set, layout, folder / "flat.bin");
  const TokenFile flat(folder / "flat.bin", {.layout = layout});
  REQUIRE(flat.tokens() == set.tokens());
  CHECK(size_of(flat.type()) == (layout == TokenLayout::raw_u32 ? 4 : 2));
  CHECK(flat.sequence(0) == all_of(set));
}

TEST_CASE("llm.c's type follows the vocabulary where it is known, else the stored type") {
  const TemporaryFolder folder;
  TokenWriter writer(folder / "set", TokenType::i32);
  writer.add_sequence(std::vector<std::int32_t>{1, 65'535});
  writer.end_document();
  writer.finish();
  const auto type = [&](std::int64_t vocabulary) {
    const TokenFile set(folder / "set", {.vocabulary = vocabulary});
    return write_flat_tokens(set, TokenLayout::llm_c, folder / "flat").type;
  };
  CHECK(type(65'536) == TokenType::u16);
  CHECK(type(65'537) == TokenType::u32);
  CHECK(type(0) == TokenType::u32);
}

TEST_CASE("a flat file that would lose an id or a set is not written") {
  const TemporaryFolder folder;
  folder.write("flat.bin", "before");
  const TokenFile wide(formats / "megatron_i32");
  CHECK_THAT(
      error_of(ExitCode::bad_input,
               [&] { write_flat_tokens(wide, TokenLayout::raw_u16, folder / "flat"); }),
      Catch::Contains("megatron_i32: the token at position 3 is ") && Catch::Contains("uint32"));
  CHECK(bytes_of(folder / "flat.bin") == "before");
  folder.write("flat.idx", "");
  CHECK_THAT(error_of(ExitCode::bad_input,
                      [&] { write_flat_tokens(wide, TokenLayout::raw_u32, folder / "flat"); }),
             Catch::Contains("flat.idx"));
  CHECK_THAT(error_of(ExitCode::usage,
                      [&] { write_flat_tokens(wide, TokenLayout::megatron, folder / "x"); }),
             Catch::Contains("data prepare"));
}

TEST_CASE("a flat file is not written over the one that is read, by whatever name") {
  const TemporaryFolder folder;
  const std::string before = "a token file of 2 bytes each";
  folder.write("x.bin", before);
  std::filesystem::create_symlink("x.bin", folder / "link.bin");
  const TokenFile file(folder / "x.bin", {.layout = TokenLayout::raw_u16});
  const std::string out = GENERATE("x", "x.bin", "./x", "link");
  CHECK_THAT(error_of(ExitCode::usage,
                      [&] { write_flat_tokens(file, TokenLayout::raw_u16, folder / out); }),
             Catch::Contains("is the file that is read"));
  CHECK(bytes_of(folder / "x.bin") == before);
  CHECK(std::filesystem::is_symlink(folder / "link.bin"));
  write_flat_tokens(file, TokenLayout::raw_u16, folder / "y");
  CHECK(bytes_of(folder / "y.bin") == before);
}

TEST_CASE("an llm.c header cannot tell of more than 2^31 - 1 tokens") {
  const TemporaryFolder folder;
  const auto bin = folder.write("huge.bin", "");
  std::filesystem::resize_file(bin, std::uintmax_t(2) << 31);  // a hole
  const TokenFile huge(bin, {.layout = TokenLayout::raw_u16});
  CHECK_THAT(error_of(ExitCode::bad_input,
                      [&] { write_flat_tokens(huge, TokenLayout::llm_c, folder / "flat"); }),
             Catch::Contains("2147483648 tokens"));
}

TEST_CASE("a flat file whose end of document is known has its documents") {
  const TemporaryFolder folder;
  const auto open = [&](const std::vector<std::uint16_t>& ids) {
    folder.write("flat.bin", std::string(reinterpret_cast<const char*>(ids.data()),
                                         ids.size() * sizeof ids[0]));
    return TokenFile(folder / "flat",
                     {.vocabulary = 10, .end_of_document = 9, .layout = TokenLayout::raw_u16});
  };
  const auto begins_of = [](const TokenFile& file) {
    std::vector<std::int64_t> begins;
    for (std::int64_t i = 0; i <= file.documents(); ++i) begins.push_back(file.document_begin(i));
    return begins;
  };
  // As nanoGPT writes them, as llm.c does, with an empty document, and cut within one.
  CHECK(begins_of(open({1, 2, 9, 3, 9})) == std::vector<std::int64_t>{0, 3, 5});
  CHECK(begins_of(open({9, 1, 2, 9, 3})) == std::vector<std::int64_t>{0, 1, 4, 5});
  CHECK(begins_of(open({1, 9, 9, 2})) == std::vector<std::int64_t>{0, 2, 3, 4});
  CHECK(begins_of(open({})) == std::vector<std::int64_t>{0});
  const TokenFile file = open({1, 2, 9, 3, 9});
  CHECK(file.document_of(2) == 0);
  CHECK(file.document_of(3) == 1);
  CHECK(file.sequences() == 1);
  CHECK(file.sequence(0) == std::vector<std::int32_t>{1, 2, 9, 3, 9});
  CHECK_THAT(error_of(ExitCode::bad_input,
                      [&] {
                        open({1, 9, 10});
                      }),
             Catch::Contains("position 2"));
}

TEST_CASE("documents of a flat file are found across its blocks") {
  const TemporaryFolder folder;
  std::vector<std::uint16_t> ids(200'000, 1);
  const std::vector<std::int64_t> ends{65'534, 65'535, 65'536, 131'071, 199'998};
  for (const std::int64_t end : ends) ids[std::size_t(end)] = 0;
  folder.write("flat.bin",
               std::string(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof ids[0]));
  const TokenFile file(folder / "flat",
                       {.vocabulary = 2, .end_of_document = 0, .layout = TokenLayout::raw_u16});
  REQUIRE(file.documents() == 6);
  for (std::size_t i = 0; i < ends.size(); ++i)
    CHECK(file.document_begin(std::int64_t(i) + 1) == ends[i] + 1);
}

TEST_CASE("a damaged flat file is refused with its fault") {
  const auto [name, layout, fault] = GENERATE(table<const char*, TokenLayout, const char*>({
      {"bad_llmc_magic.bin", TokenLayout::llm_c, "begins with magic"},
      {"bad_llmc_ntok.bin", TokenLayout::llm_c, "tells of 182 tokens"},
      {"bad_llmc_short.bin", TokenLayout::llm_c, "has 1000 bytes"},
      {"bad_odd.bin", TokenLayout::raw_u16, "no multiple of the 2"},
  }));
  const std::filesystem::path path = formats / name;
  const TokenLayout tried = layout;
  const std::string message =
      error_of(ExitCode::bad_input, [&] { TokenFile file(path, {.layout = tried}); });
  CHECK_THAT(message, Catch::Contains(fault) && Catch::Contains(name));
}

}  // namespace
}  // namespace metascale
