#include <zstd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "data/document_reader.hpp"
#include "data/json/document_line.hpp"
#include "data/utf8.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

std::string compressed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::vector<Document> documents_of(const std::filesystem::path& source,
                                   ReaderOptions options = {}) {
  DocumentReader reader(find_source_files(source), options);
  std::vector<Document> documents;
  for (Document document; reader.next(document);) documents.push_back(document);
  return documents;
}

std::vector<std::string> texts_of(const std::filesystem::path& source, ReaderOptions options = {}) {
  std::vector<std::string> texts;
  for (const Document& document : documents_of(source, options)) texts.push_back(document.text);
  return texts;
}

TEST_CASE("text and domain are read in both manners in which the Pile writes JSON") {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "pile.jsonl",
      "{\"text\":\"a\\/b \\u00e4\\ud83d\\ude00\",\"meta\":{\"pile_set_name\":\"Pile-CC\"}}\n"
      "{\"meta\": {\"x\": [1, {}], \"pile_set_name\": \"ArXiv\"}, \"text\": \"c/d\"}\n"
      "\n"
      "{\"text\":[\"one\",\"two\"],\"meta\":\"free\"}\r\n"
      "{\"text\":\"last, without an end of line\"}");
  const auto documents = documents_of(file);
  REQUIRE(documents.size() == 4);
  CHECK(documents[0].text == "a/b \xc3\xa4\xf0\x9f\x98\x80");
  CHECK(documents[0].domain == "Pile-CC");
  CHECK(documents[1].text == "c/d");
  CHECK(documents[1].domain == "ArXiv");
  CHECK(documents[2].text == "one\n\ntwo");
  CHECK(documents[2].domain == "pile");
  CHECK(documents[3].text == "last, without an end of line");
}

TEST_CASE("several zstd frames in a file are one stream") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.jsonl.zst", compressed("{\"text\":\"o") + compressed("") +
                                                    compressed("ne\"}\n{\"text\":\"two\"}\n"));
  CHECK(texts_of(file) == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a long text comes whole out of a small zstd file") {
  const TemporaryFolder folder;
  const std::string text(5'000'000, 'x');
  const auto file =
      folder.write("a.jsonl.zst", compressed("{\"text\":\"" + text + "\"}\n{\"text\":\"b\"}"));
  CHECK(texts_of(file) == std::vector<std::string>{text, "b"});
}

TEST_CASE("a truncated zstd file is refused at any length") {
  const TemporaryFolder folder;
  const std::string whole = compressed("{\"text\":\"some text that takes a few bytes\"}\n");
  const std::size_t length = GENERATE_COPY(range(std::size_t(1), whole.size()));
  const auto file = folder.write("a.jsonl.zst", whole.substr(0, length));
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(file); }),
             Catch::Contains("a.jsonl.zst: ends inside a zstd frame"));
}

// A frame whose header asks for a window of 2^log bytes, with one stored block.
std::string frame_with_window(int log, const std::string& content) {
  const auto block = std::uint32_t(content.size() << 3 | 1);
  std::string frame("\x28\xb5\x2f\xfd\0", 5);
  frame += char((log - 10) << 3);
  return frame.append(reinterpret_cast<const char*>(&block), 3) + content;
}

TEST_CASE("a zstd file may ask for a window of 8 MiB, or of 1024 times its own bytes") {
  const TemporaryFolder folder;
  const auto read = [&](int log, std::size_t bytes) {
    const std::string line = "{\"text\":\"" + std::string(bytes, 'x') + "\"}";
    return texts_of(folder.write("a.jsonl.zst", frame_with_window(log, line)));
  };
  CHECK(read(23, 1) == std::vector<std::string>{"x"});
  CHECK(read(27, 131'061).front().size() == 131'061);  // a block has at most 131,072 bytes
  const std::vector<std::pair<int, std::size_t>> refused{
      {24, 1}, {27, 1}, {27, 100'000}, {28, 131'061}};
  for (const auto& [log, bytes] : refused)
    CHECK_THAT(error_of(ExitCode::bad_input, [&, log = log, bytes = bytes] { read(log, bytes); }),
               Catch::Contains("a.jsonl.zst: asks for a zstd window above"));
}

TEST_CASE("what is not zstd is refused") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.jsonl.zst", "{\"text\":\"plain\"}\n");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(file); }), Catch::Contains("not zstd"));
}

TEST_CASE("a bad line is refused with file and line, or counted and skipped") {
  const std::string line =
      GENERATE("{\"text\": \"open", "{\"title\": \"no text\"}", "[1, 2]", "text", "{\"text\": 5}",
               "{\"text\": [1]}", "{\"text\": \"a\"} {}",
               "{\"text\": \"a\", \"meta\": {\"pile_set_name\": 3}}");
  INFO(line);
  const TemporaryFolder folder;
  const auto file =
      folder.write("a.jsonl", "{\"text\":\"good\"}\n" + line + "\n{\"text\":\"too\"}\n");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(file); }),
             Catch::Contains("a.jsonl:2: "));
  DocumentReader reader({file}, {.bad_lines = BadLines::skip});
  Document document;
  REQUIRE(reader.next(document));
  REQUIRE(reader.next(document));
  CHECK(document.text == "too");
  CHECK_FALSE(reader.next(document));
  CHECK(reader.skipped().count == 1);
  REQUIRE(reader.skipped().named.size() == 1);
  CHECK_THAT(reader.skipped().named[0], Catch::Contains("a.jsonl:2: "));
}

TEST_CASE("what is wrong with a line is said in words for people") {
  const auto [line, words] = GENERATE(table<const char*, const char*>({
      {"nojson", "the line is no JSON object"},
      {"[1, 2]", "the line is no JSON object"},
      {"{\"text\": 5}", "\"text\" is a number, not a string"},
      {"{\"text\": null}", "\"text\" is null, not a string"},
      {"{\"text\": {}}", "\"text\" is an object, not a string"},
      {"{\"text\": [\"a\", true]}", "a part of \"text\" is true or false, not a string"},
      {"{\"meta\": {\"pile_set_name\": 3}}", "meta.pile_set_name is a number, not a string"},
      {"{\"title\": 1}", "the object has no \"text\""},
      {"{\"text\": \"a\"} {}", "the line has something behind its JSON object"},
      {"{\"text\": \"open", "the line is no JSON: a string is opened, but never closed"},
      {"{\"text\" \"a\"}", "the line is no JSON: a comma, colon, bracket or key is missing"},
  }));
  const TemporaryFolder folder;
  const auto file = folder.write("a.jsonl", line + std::string("\n"));
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(file); }),
             Catch::Contains("a.jsonl:1: " + std::string(words)) &&
                 Catch::EndsWith("; mend the line, or leave such lines out with --skip-bad-lines"));
}

TEST_CASE("of a key that comes twice the last one counts, as in Python's json") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.jsonl", "{\"text\":\"a\", \"meta\":{}, \"text\":\"b\"}\n");
  CHECK(texts_of(file) == std::vector<std::string>{"b"});
}

TEST_CASE("of keys of meta too, by their escapes, and a fault counts only where it is the last") {
  const auto [line, text, domain] = GENERATE(table<std::string, std::string, std::string>({
      {R"({"text":"t","meta":{"pile_set_name":"P","pile_set_name":"Q"}})", "t", "Q"},
      {R"({"text":"t","meta":{"pile_set_name":"P"},"meta":{}})", "t", "a"},
      {R"({"text":"t","meta":{"pile_set_name":"P"},"meta":"free"})", "t", "a"},
      {R"({"text":"t","meta":{"pile\u005fset_name":"R"}})", "t", "R"},
      {R"({"te\u0078t":"t","meta":{"pile_set_name":3},"meta":null})", "t", "a"},
      {R"({"text":"t","meta":{"pile_set_name":[3],"pile_set_name":"S","y":[{}]}})", "t", "S"},
      {R"({"text":5,"text":"d10"})", "d10", "a"},
      {R"({"text":[5,"a"],"text":["b","c"]})", "b\n\nc", "a"},
  }));
  INFO(line);
  const TemporaryFolder folder;
  const auto documents = documents_of(folder.write("a.jsonl", line + "\n"));
  REQUIRE(documents.size() == 1);
  CHECK(documents[0].text == text);
  CHECK(documents[0].domain == domain);
}

TEST_CASE("what is no JSON is refused where nobody reads it, too") {
  const std::string value =
      GENERATE("tru", "[1,,2]", "nonsense", "01", "{\"a\":}", "\"\\q\"", "1.2.3", "-", "[1,]", "1.",
               "1e", "+1", "{\"a\":1,}", "{\"a\" 1}", "[1 2]", "1 2", "{\"\\q\":1}", "[1}", "{]}",
               "\"\\u00zz\"", "true\"a\"", "");
  const std::string line = GENERATE_COPY("{\"text\":\"x\",\"foo\":" + value + "}",
                                         "{\"text\":\"x\",\"meta\":{\"a\":" + value + "}}",
                                         "{\"foo\":[{\"b\":" + value + "}],\"text\":\"x\"}");
  INFO(line);
  const TemporaryFolder folder;
  const auto file = folder.write("a.jsonl", line + "\n");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(file); }),
             Catch::Contains("a.jsonl:1: the line is no JSON"));
}

TEST_CASE("every value of JSON, and Python's NaN and infinities, can stand beside the text") {
  const std::string value = GENERATE(
      "[NaN, Infinity ,-Infinity]", "-0.5e-10", "[0,-0,1E5,12345678901234567890123456789,1e999]",
      "\"\\ud800\"", "{\"k\\ud800\":1}", "[[],{},[{}],{\"a\":[1,{\"b\":null}]},true ,false]\t");
  const TemporaryFolder folder;
  const auto file =
      folder.write("a.jsonl", "{\"foo\":" + value + ",\"text\":\"x\",\"meta\":{\"a\":" + value +
                                  "}}\n{\"meta\":" + value + ",\"text\":\"y\"}\n");
  CHECK(texts_of(file) == std::vector<std::string>{"x", "y"});
}

TEST_CASE("lists and objects are read 64 deep") {
  const TemporaryFolder folder;
  const auto read = [&](std::size_t lists) {  // in the line's own object
    return texts_of(folder.write("a.jsonl", "{\"text\":\"x\",\"f\":" + std::string(lists, '[') +
                                                std::string(lists, ']') + "}"));
  };
  CHECK(read(63).size() == 1);
  const std::size_t lists = GENERATE(64, 2000, 1'000'000);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { read(lists); }),
             Catch::Contains("nests more lists and objects than can be read"));
}

TEST_CASE("a line that is too long is a bad line, however the file is cut") {
  const TemporaryFolder folder;
  const std::int64_t length = GENERATE(60, 1'000'000, 3'000'000);
  const auto file = folder.write("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"" +
                                                std::string(std::size_t(length), 'x') +
                                                "\"}\n{\"text\":\"b\"}\n");
  CHECK(texts_of(file, {.bad_lines = BadLines::skip, .longest_line = 50}) ==
        std::vector<std::string>{"a", "b"});
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(file, {.longest_line = 50}); }),
             Catch::Contains("a.jsonl:2: the line is longer than 50 bytes"));
}

TEST_CASE("a long line is read as a short one, and what is behind it") {
  const TemporaryFolder folder;
  const std::string text(DocumentLineParser::long_line + 1, 'x'), behind = "{\"text\":\"b\"}\n";
  const auto read = [&](const std::string& line) {
    return texts_of(folder.write("a.jsonl", behind + line + "\n" + behind + behind));
  };
  const std::string r = "\xef\xbf\xbd";
  CHECK((read("{\"text\":\"" + text + "\"}") == std::vector<std::string>{"b", text, "b", "b"}));
  CHECK((read("{\"text\":[\"\\ud800\xff\\n\",\"" + text + "\",\"\"],\"meta\":{}}") ==
         std::vector<std::string>{"b", r + r + "\n\n\n" + text + "\n\n", "b", "b"}));
}

TEST_CASE("a long line with much outside of texts, or with long repairs, is a bad line") {
  const TemporaryFolder folder;
  const auto [line, fault] = GENERATE(table<std::string, const char*>({
      {"{\"text\":\"" + std::string(17'000'000, 'x') + "\",\"a\":" + std::string(5'000'000, '['),
       "outside of texts"},
      {"\\\"" + std::string(17'000'000, '['), "outside of texts"},
      {"{\"text\":\"" + std::string(17'000'000, '\xff') + "\"}",
       "stands for all that is not UTF-8"},
  }));
  const auto file = folder.write("a.jsonl", line + "\n");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(file, {.longest_line = 50'000'000}); }),
             Catch::Contains(fault) && Catch::Contains("a.jsonl:1: "));
}

TEST_CASE("a domain's name of more than 256 bytes is a bad line") {
  const TemporaryFolder folder;
  const auto read = [&](std::size_t bytes) {
    return texts_of(folder.write("a.jsonl", "{\"text\":\"a\",\"meta\":{\"pile_set_name\":\"" +
                                                std::string(bytes, 'd') + "\"}}"));
  };
  CHECK(read(256).size() == 1);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { read(257); }), Catch::Contains("pile_set_name"));
}

TEST_CASE("lone surrogates become U+FFFD, and pairs stay") {
  const auto [json, text] = GENERATE(table<std::string, std::string>({
      {"\\ud800", "\xef\xbf\xbd"},
      {"a\\udc00b",
       "a\xef\xbf\xbd"
       "b"},
      {"\\ud800\\ud800\\udc00", "\xef\xbf\xbd\xf0\x90\x80\x80"},
      {"\\uD83D\\uDE00", "\xf0\x9f\x98\x80"},
      {"\\ud800\\u0041",
       "\xef\xbf\xbd"
       "A"},
      {"\\ud800\\n", "\xef\xbf\xbd\n"},
      {"\\\\ud800", "\\ud800"},
      {"\\\\\\ud800", "\\\xef\xbf\xbd"},
      {"\\udfff\\ud800", "\xef\xbf\xbd\xef\xbf\xbd"},
  }));
  INFO(json);
  const TemporaryFolder folder;
  CHECK(texts_of(folder.write("a.jsonl", "{\"text\":\"" + json + "\"}")) ==
        std::vector<std::string>{text});
}

// Examples of Unicode 16, 3.9, tables 3-8 to 3-11, and the borders of table 3-7.
TEST_CASE("each maximal invalid subpart of UTF-8 becomes one U+FFFD") {
  const std::string r = "\xef\xbf\xbd";
  const auto [raw, repaired] = GENERATE_COPY(table<std::string, std::string>({
      {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82"
       "A",
       r + r + r + r + r + r + r + r + "A"},
      {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf"
       "A",
       r + r + r + r + r + r + r + r + "A"},
      {"\xf4\x91\x92\x93\xff"
       "A\x80\xbf"
       "B",
       r + r + r + r + r + "A" + r + r + "B"},
      {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
       "A",
       r + r + r + r + "A"},
      {"\xf0\x9f\x98\x80\xc3\xa4\xf4\x8f\xbf\xbf", "\xf0\x9f\x98\x80\xc3\xa4\xf4\x8f\xbf\xbf"},
      {"a\xf0\x9f\x98", "a" + r},
  }));
  CHECK(repair_utf8(raw) == repaired);
  CHECK(repaired_size(raw) == repaired.size());
  const TemporaryFolder folder;
  CHECK(texts_of(folder.write("a.jsonl", "{\"text\":\"" + raw + "\"}")) ==
        std::vector<std::string>{repaired});
  CHECK(texts_of(folder.write("b.txt", raw)) == std::vector<std::string>{repaired});
}

TEST_CASE("a text file is one document of the domain of its name") {
  const TemporaryFolder folder;
  const auto file = folder.write("letters.txt", "\xef\xbb\xbfone\n\ntwo\n");
  const auto documents = documents_of(file);
  REQUIRE(documents.size() == 1);
  CHECK(documents[0].text == "one\n\ntwo\n");
  CHECK(documents[0].domain == "letters");
}

TEST_CASE("a long text file is cut at blank lines, else at lines, else between characters") {
  const TemporaryFolder folder;
  const std::string paragraphs = "aaaa\n\nbbbb\n\ncccc\n\n";
  CHECK(texts_of(folder.write("a.txt", paragraphs), {.longest_text = 14}) ==
        std::vector<std::string>{"aaaa\n\nbbbb\n\n", "cccc\n\n"});
  CHECK(texts_of(folder.write("b.txt", "aaaa\nbbbb\ncccc\n"), {.longest_text = 11}) ==
        std::vector<std::string>{"aaaa\nbbbb\n", "cccc\n"});
  CHECK(texts_of(folder.write("c.txt", "\xc3\xa4\xc3\xa4\xc3\xa4"), {.longest_text = 3}) ==
        std::vector<std::string>{"\xc3\xa4", "\xc3\xa4", "\xc3\xa4"});
}

TEST_CASE("cutting a text file loses nothing") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "line " + std::to_string(i) + (i % 7 ? "\n" : "\n\n");
  std::string joined;
  for (const std::string& part :
       texts_of(folder.write("a.txt.zst", compressed(text)), {.longest_text = 1000})) {
    CHECK(part.size() <= 1000);
    joined += part;
  }
  CHECK(joined == text);
}

TEST_CASE("a folder is read in the order of its paths, with the folders in it") {
  const TemporaryFolder folder;
  folder.write("b.jsonl", "{\"text\":\"2\"}\n");
  folder.write("a/z.txt", "1");
  folder.write("c.txt", "3");
  folder.write("manifest.json", "{}");
  CHECK(texts_of(folder.path()) == std::vector<std::string>{"1", "2", "3"});
}

TEST_CASE("a linked folder is read as one that lies there, and what is no text is told") {
  const TemporaryFolder folder;
  folder.write("elsewhere/deep/b.txt", "2");
  folder.write("in/a.txt", "1");
  for (const char* other : {"c.json", "b.jsonl.gz", "deep/d.tar.zst", ".zst"})
    folder.write(std::string("in/") + other, "x");
  std::filesystem::create_directory_symlink("../elsewhere", folder / "in/books");
  std::filesystem::create_symlink("nowhere", folder / "in/e.txt");
  CHECK(texts_of(folder / "in") == std::vector<std::string>{"1", "2"});
  std::vector<std::filesystem::path> others;
  find_source_files(folder / "in", &others);
  CHECK(others == std::vector<std::filesystem::path>{
                      folder / "in/.zst", folder / "in/b.jsonl.gz", folder / "in/c.json",
                      folder / "in/deep/d.tar.zst", folder / "in/e.txt"});
}

TEST_CASE("a link to a folder that is read anyway is refused by its name") {
  const TemporaryFolder folder;
  folder.write("in/a/deep/b.txt", "text");
  const std::string to = GENERATE(".", "a", "a/deep");
  std::filesystem::create_directory_symlink(folder / "in" / to, folder / "in/a/z");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(folder / "in"); }),
             Catch::Contains("in/a/z: is the folder ") && Catch::Contains("take the link away"));
}

TEST_CASE("a file that is called .zst alone is a compressed text") {
  const TemporaryFolder folder;
  const auto documents = documents_of(folder.write("letters.zst", compressed("one\n\ntwo\n")));
  REQUIRE(documents.size() == 1);
  CHECK(documents[0].text == "one\n\ntwo\n");
  CHECK(documents[0].domain == "letters");
  const auto other = folder.write(GENERATE("a.json.zst", "a.tar.zst", ".zst"), compressed("x"));
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(other); }),
             Catch::Contains("rename it to what it is"));
}

TEST_CASE("a source without a readable file is refused with what can be read") {
  const TemporaryFolder folder;
  folder.write("a.pdf", "x");
  const std::string name = GENERATE(".", "a.pdf");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { texts_of(folder / name); }),
             Catch::Contains(".jsonl"));
  CHECK_THAT(error_of(ExitCode::usage, [&] { texts_of(folder / "none"); }),
             Catch::EndsWith("none: there is no such file or folder; check the path"));
}

TEST_CASE("lines without text are counted and are no documents") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.jsonl", "{\"text\":\"\"}\n{\"text\":\"a\"}\n");
  DocumentReader reader({file});
  Document document;
  REQUIRE(reader.next(document));
  CHECK_FALSE(reader.next(document));
  CHECK(reader.empty() == 1);
}

TEST_CASE("sources are listed with size and digest as stored") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.txt", "abc");
  DocumentReader reader({file});
  Document document;
  while (reader.next(document)) {
  }
  REQUIRE(reader.sources().size() == 1);
  CHECK(reader.sources()[0].file == "a.txt");
  CHECK(reader.sources()[0].bytes == 3);
  CHECK(reader.sources()[0].sha256 ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(reader.stored_bytes_read() == 3);
}

}  // namespace
}  // namespace metascale
