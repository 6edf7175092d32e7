#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "data/token_file.hpp"
#include "data/token_writer.hpp"
#include "tests/data/token_set.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

using testing::bytes_of;
using testing::error_of;
using testing::TemporaryFolder;

const std::filesystem::path formats = std::filesystem::path(METASCALE_GOLDEN) / "formats";

const nlohmann::json& contents() {
  static const nlohmann::json json = nlohmann::json::parse(bytes_of(formats / "contents.json"));
  return json;
}

std::vector<std::vector<std::int32_t>> sequences_of(const std::string& name) {
  return contents().at(name).at("sequences");
}

const std::vector<std::string> megatron_sets{"megatron_u16",        "megatron_sentences_u16",
                                             "megatron_i32",        "megatron_u8",
                                             "megatron_merged_u16", "megatron_zero_length_u16",
                                             "megatron_empty_u16",  "pythia_preshuffled_u16"};

// The message with which a damaged .idx beside megatron_u16.bin is refused.
std::string refusal_of(const TemporaryFolder& folder, const std::string& idx) {
  folder.write("x.bin", bytes_of(formats / "megatron_u16.bin"));
  folder.write("x.idx", idx);
  return error_of(ExitCode::bad_input, [&] { TokenFile file(folder / "x"); });
}

template <typename Number>
std::string with_number(std::string bytes, std::size_t offset, Number number) {
  return bytes.replace(offset, sizeof number, reinterpret_cast<const char*>(&number),
                       sizeof number);
}

TEST_CASE("every Megatron set is read as its list of contents says") {
  const std::string name = GENERATE(from_range(megatron_sets));
  INFO(name);
  const TokenFile file(formats / name);
  const auto expected = sequences_of(name);
  REQUIRE(file.sequences() == std::int64_t(expected.size()));
  std::vector<std::int32_t> stream;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(file.sequence(std::int64_t(i)) == expected[i]);
    stream.insert(stream.end(), expected[i].begin(), expected[i].end());
  }
  CHECK(testing::all_of(file) == stream);
  CHECK(file.stored_document_index() ==
        contents().at(name).at("doc_idx").get<std::vector<std::int64_t>>());
}

TEST_CASE("every Megatron set is written again byte for byte") {
  const std::string name = GENERATE(from_range(megatron_sets));
  INFO(name);
  const TemporaryFolder folder;
  const TokenFile golden(formats / name);
  const auto index = golden.stored_document_index();
  TokenWriter writer(folder / name, golden.type());
  std::size_t document = 1;
  for (std::int64_t sequence = 0; sequence < golden.sequences(); ++sequence) {
    writer.add_sequence(golden.sequence(sequence));
    if (document < index.size() && index[document] == sequence + 1) {
      writer.end_document();
      ++document;
    }
  }
  writer.finish();
  CHECK(bytes_of(folder / (name + ".bin")) == bytes_of(formats / (name + ".bin")));
  CHECK(bytes_of(folder / (name + ".idx")) == bytes_of(formats / (name + ".idx")));
}

TEST_CASE("a damaged index is refused with its fault") {
  const auto [name, fault] = GENERATE(table<const char*, const char*>({
      {"bad_magic.idx", "magic MMIDIDX"},
      {"bad_version.idx", "version 2"},
      {"bad_dtype.idx", "dtype code 9"},
      {"bad_truncated.idx", "truncated"},
      {"bad_count.idx", "not what its counts of"},
      {"bad_pointer.idx", "ends behind the 362 bytes"},
      {"bad_negative_size.idx", "negative size"},
  }));
  const TemporaryFolder folder;
  const std::string message = refusal_of(folder, bytes_of(formats / name));
  CHECK_THAT(message, Catch::Contains(fault));
  CHECK_THAT(message, Catch::Contains("x.idx: "));
}

TEST_CASE("an index cut at any byte is refused") {
  const TemporaryFolder folder;
  const std::string whole = bytes_of(formats / "megatron_u16.idx");
  folder.write("x.bin", bytes_of(formats / "megatron_u16.bin"));
  folder.write("x.idx", whole);
  for (std::size_t length = whole.size(); length-- > 0;) {
    INFO(length);
    std::filesystem::resize_file(folder / "x.idx", length);
    CHECK_THAT(error_of(ExitCode::bad_input, [&] { TokenFile file(folder / "x"); }),
               Catch::Contains("truncated"));
  }
}

TEST_CASE("absurd counts are refused before anything is multiplied") {
  const auto [offset, count] = GENERATE(table<std::size_t, std::uint64_t>({
      {18, ~std::uint64_t(0)},
      {18, std::uint64_t(1) << 62},
      {26, ~std::uint64_t(0)},
      {26, (std::uint64_t(1) << 61) + 11},  // 8 d overflows to the right value
  }));
  const TemporaryFolder folder;
  const std::string idx = with_number(bytes_of(formats / "megatron_u16.idx"), offset, count);
  CHECK_THAT(refusal_of(folder, idx), Catch::Contains("not what its counts of"));
}

TEST_CASE("an absurd pointer is refused") {
  const std::int64_t pointer =
      GENERATE(std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min());
  const TemporaryFolder folder;
  const std::string idx = with_number(bytes_of(formats / "megatron_u16.idx"), 34 + 4 * 10, pointer);
  CHECK_THAT(refusal_of(folder, idx), Catch::Contains("sequence 0"));
}

TEST_CASE("a .bin of another length than its index tells is refused") {
  const std::string bin = bytes_of(formats / "megatron_u16.bin");
  const auto [length, fault] = GENERATE(
      table<std::size_t, const char*>({{360, "ends behind"}, {364, "do not belong together"}}));
  const TemporaryFolder folder;
  folder.write("x.bin", (bin + bin).substr(0, length));
  folder.write("x.idx", bytes_of(formats / "megatron_u16.idx"));
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { TokenFile file(folder / "x.idx"); }),
             Catch::Contains(fault));
}

TEST_CASE("a missing file is named") {
  const TemporaryFolder folder;
  CHECK_THAT(
      error_of(ExitCode::usage, [&] { TokenFile file(folder / "nothing"); }),
      Catch::Contains("nothing.idx: cannot open it: No such file or directory; check the path"));
}

TEST_CASE("a document is found from each of its tokens, over several sequences and none") {
  const std::string name = GENERATE("megatron_u16", "megatron_sentences_u16",
                                    "megatron_zero_length_u16", "megatron_merged_u16");
  INFO(name);
  const TokenFile file(formats / name);
  for (std::int64_t document = 0; document < file.documents(); ++document)
    for (std::int64_t token = file.document_begin(document);
         token < file.document_begin(document + 1); ++token)
      CHECK(file.document_of(token) == document);
  CHECK(file.document_begin(file.documents()) == file.tokens());
}

TEST_CASE("documents follow doc_idx, or the sequences where doc_idx covers nothing") {
  CHECK(TokenFile(formats / "megatron_sentences_u16").documents() == 3);
  CHECK(TokenFile(formats / "megatron_merged_u16").documents() == 4);
}

TEST_CASE("an id outside of the vocabulary is refused with its position") {
  const TokenFile file(formats / "megatron_i32", {.vocabulary = 65536, .end_of_document = 0});
  std::int32_t ids[6];
  file.read(0, 3, ids);
  CHECK(ids[2] == 65535);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { file.read(1, 5, ids); }),
             Catch::Contains("position 3"));
}

TEST_CASE("reading outside of the file is refused") {
  const TokenFile file(formats / "megatron_u16");
  std::int32_t ids[4];
  CHECK_THROWS_AS(file.read(180, 2, ids), Error);
  CHECK_THROWS_AS(file.read(-1, 2, ids), Error);
  CHECK_THROWS_AS(file.read(1, std::numeric_limits<std::int64_t>::max(), ids), Error);
  CHECK_THROWS_AS(file.document_of(181), Error);
}

TEST_CASE("an id that the stored type cannot hold is not written") {
  const TemporaryFolder folder;
  TokenWriter writer(folder / "x", TokenType::u16);
  const std::int32_t id = GENERATE(-1, 65536);
  CHECK_THROWS_AS(writer.add_sequence(std::vector<std::int32_t>{1, id}), Error);
}

TEST_CASE("a token file gone on with from a mark is the one written at once") {
  const TemporaryFolder folder;
  const std::vector<std::int32_t> ids{1, 2, 3, 40000}, more{5, 6};
  const auto write = [](TokenWriter& writer, std::span<const std::int32_t> sequence) {
    writer.add_tokens(sequence.first(1));
    writer.add_tokens(sequence.subspan(1));
    writer.end_sequence();
    writer.end_document();
  };
  TokenWriter whole(folder / "whole", TokenType::u16);
  write(whole, ids), write(whole, more);
  const TokenFileDigests digests = whole.finish();
  TokenWriterMark mark;
  {
    TokenWriter first(folder / "again", TokenType::u16);
    write(first, ids);
    mark = first.mark();
    write(first, ids);  // what a kill would leave behind the mark
    first.finish();
  }
  TokenWriter second(folder / "again", TokenType::u16, mark);
  write(second, more);
  CHECK(second.finish().bin_sha256 == digests.bin_sha256);
  CHECK(bytes_of(folder / "again.bin") == bytes_of(folder / "whole.bin"));
  CHECK(bytes_of(folder / "again.idx") == bytes_of(folder / "whole.idx"));
  std::string bytes = bytes_of(folder / "again.bin");
  bytes[2] ^= 1;
  folder.write("again.bin", bytes);
  CHECK_THAT(
      error_of(ExitCode::bad_input, [&] { TokenWriter(folder / "again", TokenType::u16, mark); }),
      Catch::Contains("damaged"));
}

TEST_CASE("a format of token files is known by its name") {
  for (const char* name : {"megatron", "llm.c", "uint16", "uint32"})
    CHECK(name_of(parse_token_layout(name)) == std::string(name));
  CHECK_THAT(error_of(ExitCode::usage, [&] { parse_token_layout("u16"); }),
             Catch::Contains("'u16'") && Catch::Contains("llm.c"));
}

TEST_CASE("a token set keeps the domain and the bytes of each document") {
  const TemporaryFolder folder;
  const TokenFile file(
      testing::write_token_set(folder, "set", {{"a", "xyz"}, {"b", "\xc3\xa4"}, {"a", "q"}}));
  CHECK(file.domains() == std::vector<std::string>{"a", "b"});
  CHECK(file.documents() == 3);
  CHECK(file.domain_of(1) == 1);
  CHECK(file.domain_of(2) == 0);
  CHECK(file.bytes_of(1) == 2);
  CHECK(file.info().domains[0].tokens == 6);
  CHECK(file.info().bytes == 6);
  CHECK(file.end_of_document() == 256);
}

TEST_CASE("what stands beside a token file must belong to it") {
  const TemporaryFolder folder;
  testing::write_token_set(folder, "set", {{"a", "xyz"}, {"b", "uvw"}});
  testing::write_token_set(folder, "other", {{"a", "xyz"}, {"b", "uvv"}});
  const auto [ending, fault] = GENERATE(table<const char*, const char*>({
      {".bin", "fingerprint is"},
      {".json", "fingerprint is"},
  }));
  std::filesystem::copy_file(folder / (std::string("other") + ending),
                             folder / (std::string("set") + ending),
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { TokenFile file(folder / "set"); }),
             Catch::Contains(fault));
}

TEST_CASE("a damaged table of documents is refused") {
  const TemporaryFolder folder;
  testing::write_token_set(folder, "set", {{"a", "xyz"}, {"b", "uvw"}});
  const std::string whole = bytes_of(folder / "set.documents");
  const auto [bytes, fault] = GENERATE_COPY(table<std::string, const char*>({
      {whole.substr(0, 20), "truncated"},
      {whole.substr(0, 40), "truncated"},
      {whole.substr(8) + whole, "header of a document table"},
      {with_number(whole, 8, std::uint64_t(7)), "version 7"},
      {with_number(whole, 16, ~std::uint64_t(0)), "documents"},
  }));
  folder.write("set.documents", bytes);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { TokenFile file(folder / "set"); }),
             Catch::Contains(fault));
}

TEST_CASE("a domain that does not exist is refused when it is asked for") {
  const TemporaryFolder folder;
  testing::write_token_set(folder, "set", {{"a", "xyz"}});
  folder.write("set.documents",
               with_number(bytes_of(folder / "set.documents"), 36, std::uint16_t(9)));
  const TokenFile file(folder / "set");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { file.domain_of(0); }),
             Catch::Contains("domain 9"));
}

TEST_CASE("a .json with a fault is refused with its key") {
  const auto [key, value, fault] = GENERATE(table<const char*, nlohmann::json, const char*>({
      {"/format", "csv", "format is 'csv'"},
      {"/schema", 2, "schema 2"},
      {"/type", "f32", "type 'f32'"},
      {"/tokens", -1, "tokens is -1"},
      {"/tokens", "many", "tokens is \"many\""},
      {"/tokenizer/vocabulary", 0, "vocabulary is 0"},
      {"/tokenizer/end_of_document", 257, "end_of_document 257"},
      {"/domains/0/bytes", 4, "add up to"},
      {"/domains", 5, "domains is not a list"},
      {"/sha256", nullptr, "is not an object"},
  }));
  const TemporaryFolder folder;
  testing::write_token_set(folder, "set", {{"a", "xyz"}});
  auto json = nlohmann::json::parse(bytes_of(folder / "set.json"));
  json[nlohmann::json::json_pointer(key)] = value;
  folder.write("set.json", json.dump());
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { TokenFile file(folder / "set"); }),
             Catch::Contains(fault));
}

}  // namespace
}  // namespace metascale
