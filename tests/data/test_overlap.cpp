#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "data/overlap.hpp"
#include "data/prepare.hpp"
#include "tests/data/token_set.hpp"

namespace metascale {
namespace {

using testing::TemporaryFolder;
using testing::Texts;

const auto tokenizer = make_tokenizer("bytes");

// Words first, first + 1, ...
std::string words(int first, int count, const std::string& between = " ") {
  std::string text;
  for (int i = first; i < first + count; ++i) text += "w" + std::to_string(i) + between;
  return text;
}

OverlapReport overlap(const Texts& train, const Texts& held_out,
                      const OverlapOptions& options = {}) {
  const TemporaryFolder folder;
  const TokenFile a(testing::write_token_set(folder, "a", train)),
      b(testing::write_token_set(folder, "b", held_out));
  return find_overlap(a, b, *tokenizer, options);
}

TEST_CASE("a run of thirteen words that train has is found, and one of twelve is none") {
  const Texts train{{"x", words(100, 5) + words(0, 13) + words(200, 5)}};
  CHECK(overlap(train, {{"x", words(0, 13)}}).total.shared == 1);
  CHECK(overlap(train, {{"x", words(0, 12) + words(900, 3)}}).total.shared == 0);
  CHECK(overlap(train, {{"x", words(0, 12)}}).total.documents == 0);
}

TEST_CASE("case and what is between words do not count, borders of documents do") {
  const Texts held_out{{"x", words(0, 13)}};
  std::string loud = words(0, 13, ", -\n");
  for (char& c : loud) c = c == 'w' ? 'W' : c;
  CHECK(overlap({{"x", loud}}, held_out).total.shared == 1);
  CHECK(overlap({{"x", words(0, 7)}, {"x", words(7, 6)}}, held_out).total.shared == 0);
}

TEST_CASE("documents with one shared run and with half of them are counted by domain") {
  const Texts train{{"x", words(0, 20)}};
  const Texts held_out{{"p", words(0, 14)},                   // both of its runs
                       {"p", words(7, 13) + words(500, 30)},  // one of 31
                       {"q", words(600, 40)}};
  const OverlapReport report = overlap(train, held_out);
  REQUIRE(report.domains.size() == 2);
  CHECK(report.domains[0].domain == "p");
  CHECK(report.domains[0].documents == 2);
  CHECK(report.domains[0].any == 2);
  CHECK(report.domains[0].half == 1);
  CHECK(report.domains[0].grams == 33);
  CHECK(report.domains[0].shared == 3);
  CHECK(report.domains[1].any == 0);
  CHECK(report.total.documents == 3);
  CHECK(report.sample == 1);
}

TEST_CASE("more runs than fit into memory are sampled, and the shared part is about the same") {
  const Texts train{{"x", words(0, 30000)}};
  const Texts held_out{{"x", words(20000, 20000)}};  // half of it
  const OverlapReport report = overlap(train, held_out, {.most_grams = 4000});
  CHECK(report.sample < 0.25);
  CHECK(report.total.grams > 1000);
  CHECK(report.total.grams <= 4000);
  const double share = double(report.total.shared) / double(report.total.grams);
  CHECK(share == Approx(0.5).margin(0.05));  // 3 standard deviations of 1000 draws
}

TEST_CASE("the report does not depend on the number of threads") {
  Texts train, held_out;
  for (int i = 0; i < 50; ++i) train.emplace_back("x", words(10 * i, 40));
  for (int i = 0; i < 50; ++i) held_out.emplace_back("x", words(20 * i, 30));
  const OverlapReport one = overlap(train, held_out),
                      two = overlap(train, held_out, {.threads = 2});
  CHECK(one.total.shared > 0);
  CHECK(one.total.shared == two.total.shared);
  CHECK(one.total.half == two.total.half);
}

TEST_CASE("preparing leaves training texts out that are in validation or test, and tells overlap") {
  const TemporaryFolder folder;
  const auto line = [](const std::string& text) { return "{\"text\": \"" + text + "\"}\n"; };
  folder.write("in/train.jsonl", line(words(0, 40)) + line("in test") + line("kept") +
                                     line("in validation") + line("in test"));
  folder.write("in/val.jsonl", line("in validation") + line(words(500, 20)));
  folder.write("in/test.jsonl", line("in test") + line(words(10, 20)));
  const PrepareResult result =
      prepare({.source = folder / "in", .out = folder / "out"}, *tokenizer);
  CHECK(result.duplicates == 3);
  CHECK(TokenFile(folder / "out/train").documents() == 2);
  REQUIRE(result.overlaps.size() == 2);
  CHECK(result.overlaps[0].part == "validation");
  CHECK(result.overlaps[0].total.any == 0);
  CHECK(result.overlaps[1].total.any == 1);
  const auto json = nlohmann::json::parse(testing::bytes_of(folder / "out/overlap.json"));
  CHECK(json.at(1).at("total").at("half") == 1);
}

}  // namespace
}  // namespace metascale
