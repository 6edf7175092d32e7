// What the pages about models and engine say must be so: numbers, files, tests and code that they
// name.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <regex>
#include <sstream>

#include "core/atomic_file.hpp"
#include "experiments/config_tables.hpp"
#include "experiments/plan.hpp"
#include "experiments/program.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

const fs::path source = METASCALE_SOURCE;
constexpr const char* pages[] = {
    "model.md", "adding-an-architecture.md", "adding-an-operator.md", "engine.md", "data.md",
    "log.md"};

std::string text_of(const fs::path& path) { return read_file(path); }

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> cells_of(const std::string& row) {
  std::istringstream in(row);
  std::vector<std::string> cells;
  for (std::string cell; std::getline(in, cell, '|');) {
    const auto first = cell.find_first_not_of(' '), last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

double number(std::string text) {
  std::erase(text, ',');
  return std::stod(text);
}

struct SizeRow {
  std::string size;
  ModelConfig model;
  double parameters, of_target, non_embedding, flops, state;
};

// | 150M | 12 x 768 | rwkv7 | 2112 | 149,943,552 | -0.04 % | 72,676,608 | 682.7 | 589,824 |
std::vector<SizeRow> table_of_sizes() {
  std::vector<SizeRow> rows;
  for (const std::string& line : lines_of(text_of(source / "docs/model.md"))) {
    const auto cell = cells_of(line);
    if (cell.size() < 10 || !std::regex_match(cell[2], std::regex("\\d+ x \\d+"))) continue;
    SizeRow row{.size = cell[1]};
    const auto cross = cell[2].find('x');
    row.model.layers = std::stoll(cell[2].substr(0, cross));
    row.model.width = std::stoll(cell[2].substr(cross + 1));
    for (const auto& known : architecture_names)
      if (cell[3] == known.name) row.model.architecture = known.value;
    REQUIRE(cell[3] == name_of(row.model.architecture));
    row.model.vocabulary = 50304;
    row.model.feed_forward = std::stoll(cell[4]);
    row.parameters = number(cell[5]);
    row.of_target = number(cell[6]);
    row.non_embedding = number(cell[7]);
    row.flops = number(cell[8]) * 1e6;
    row.state = number(cell[9]);
    rows.push_back(row);
  }
  return rows;
}

double target_of(const std::string& size) {
  return std::stod(size) * (size.ends_with('B') ? 1e9 : 1e6);
}

// Numbers that a recurrent model carries from one token to the next; its vectors, or its states.
std::int64_t carried(const ModelConfig& model, std::int64_t context, const char* ending) {
  ParameterList list;
  const Program program(model,
                        {.rows = 1,
                         .context = context,
                         .tape = {.training = false},
                         .carry_state = true,
                         .logits = true},
                        list);
  std::int64_t sum = 0;
  for (const auto& [name, state] : program.tape().carried_states())
    if (name.ends_with(ending)) sum += state.after.size();
  return sum;
}

std::string without_blanks(const std::string& text) {
  std::string result;
  for (const char c : text)
    if (!std::isspace(static_cast<unsigned char>(c))) result += c;
  return result;
}

struct Quotation {
  std::string page, file, code;
};

// Code blocks of C++ behind a line "<!-- from path -->".
std::vector<Quotation> quotations() {
  std::vector<Quotation> found;
  for (const char* page : pages) {
    const std::string text = text_of(source / "docs" / page);
    const std::regex block("<!-- from (\\S+) -->\\s*```cpp\\n([^`]*)```");
    for (std::sregex_iterator match(text.begin(), text.end(), block), end; match != end; ++match)
      found.push_back({page, (*match)[1], (*match)[2]});
  }
  return found;
}

}  // namespace

TEST_CASE("docs: the table of sizes is that of the real models") {
  const auto rows = table_of_sizes();
  REQUIRE(rows.size() == 16);
  for (const SizeRow& row : rows) {
    CAPTURE(row.size, name_of(row.model.architecture));
    ParameterList list;
    const Program program(row.model, {.rows = 1, .context = 1, .tape = {.training = false}}, list);
    CHECK(list.count() == row.parameters);
    CHECK(list.non_embedding_count() == row.non_embedding);
    CHECK(100 * (row.parameters / target_of(row.size) - 1) == Approx(row.of_target).margin(0.006));
    CHECK(count_model(row.model, 2048).flops_per_token == Approx(row.flops).margin(0.06e6));
    CHECK((is_recurrent(row.model) ? carried(row.model, 1, "att.state")
                                   : 2 * row.model.layers * row.model.width * 2048) == row.state);
  }
}

TEST_CASE("docs: what a recurrent model carries does not grow with the context") {
  const auto architecture = GENERATE(Architecture::rwkv7, Architecture::meta_state);
  const ModelConfig model{.architecture = architecture,
                          .layers = 3,
                          .width = 128,
                          .vocabulary = 40,
                          .feed_forward = 64};
  for (const std::int64_t context : {1, 16, 100}) {
    CHECK(carried(model, context, "") == 3 * (2 * 64 * 64 + 2 * 128));  // L (H N^2 + 2 D)
    CHECK(carried(model, context, "att.state") == 3 * 2 * 64 * 64);
  }
}

TEST_CASE("docs: a path that a page names exists") {
  int paths = 0;
  for (const char* page : pages) {
    const std::string text = text_of(source / "docs" / page);
    const std::regex path(
        "`((?:core|kernels|data|experiments|sweeps|analysis|cli|tests|docs|bench|"
        "scripts|corpora)/[A-Za-z0-9_./-]*)`");
    for (std::sregex_iterator match(text.begin(), text.end(), path), end; match != end; ++match) {
      INFO(page << " names " << (*match)[1]);
      CHECK(fs::exists(source / (*match)[1].str()));
      ++paths;
    }
  }
  CHECK(paths > 50);
}

TEST_CASE("docs: a link to a page leads to one") {
  int links = 0;
  for (const char* page : pages) {
    const std::string text = text_of(source / "docs" / page);
    const std::regex link("\\]\\(([a-z0-9-]+\\.md)");
    for (std::sregex_iterator match(text.begin(), text.end(), link), end; match != end; ++match) {
      INFO(page << " links to " << (*match)[1]);
      CHECK(fs::exists(source / "docs" / (*match)[1].str()));
      ++links;
    }
  }
  CHECK(links > 5);
}

TEST_CASE("docs: a test that a page names stands in that file") {
  int tests = 0;
  for (const char* page : pages) {
    const std::string text = text_of(source / "docs" / page);
    const std::regex test("`(tests/[A-Za-z0-9_./]+\\.cpp)`: \"([^\"]+)\"");
    for (std::sregex_iterator match(text.begin(), text.end(), test), end; match != end; ++match) {
      INFO(page << " names \"" << (*match)[2] << "\" of " << (*match)[1]);
      const std::string file = without_blanks(text_of(source / (*match)[1].str()));
      CHECK(file.find(without_blanks("\"" + (*match)[2].str() + "\"")) != std::string::npos);
      ++tests;
    }
  }
  CHECK(tests >= 10);
}

// As the paper's text has it, but for blanks and the mark-up and dashes that it has in some places.
std::string plain(std::string text) {
  text = std::regex_replace(text, std::regex("\xe2\x80\x93"), "-");
  return without_blanks(text);
}

// What stands in quotation marks in the first column of the table of section 11.
std::vector<std::string> quoted_phrases() {
  std::vector<std::string> phrases;
  bool is_in_table = false;
  for (const std::string& line : lines_of(text_of(source / "docs/model.md"))) {
    if (line.starts_with("## ")) is_in_table = line.starts_with("## 11.");
    const auto cell = cells_of(line);
    if (!is_in_table || cell.size() < 4) continue;
    const std::regex quotation("\"([^\"]+)\"");
    for (std::sregex_iterator match(cell[1].begin(), cell[1].end(), quotation), end; match != end;
         ++match)
      phrases.push_back((*match)[1]);
  }
  return phrases;
}

// Rows of the table of section 11 whose phrase was read as something that is built.
std::vector<std::vector<std::string>> rows_with_a_reading() {
  std::vector<std::vector<std::string>> rows;
  bool is_in_table = false;
  for (const std::string& line : lines_of(text_of(source / "docs/model.md"))) {
    if (line.starts_with("## ")) is_in_table = line.starts_with("## 11.");
    const auto cell = cells_of(line);
    const bool is_row = is_in_table && cell.size() >= 5 && cell[1].find('"') != std::string::npos;
    if (is_row && !cell[2].starts_with("not described, not built")) rows.push_back(cell);
  }
  return rows;
}

// That the named test exists is asked of all pages above.
TEST_CASE("docs: each phrase of the paper that has a reading is held by a test, named") {
  const auto rows = rows_with_a_reading();
  CHECK(rows.size() > 20);
  for (const auto& row : rows) {
    CAPTURE(row[1]);
    CHECK(std::regex_search(row[4], std::regex("`tests/[A-Za-z0-9_./]+\\.cpp`: \"[^\"]+\"")));
  }
}

TEST_CASE("docs: the title and the abstract's closing claims have rows of their own") {
  const auto phrases = quoted_phrases();
  const std::string phrase = GENERATE(
      "Millions of States", "Scalable", "MoE Architecture", "Meta-learner",
      "bridges the gap between state-based modeling, token-parameter interactions, and scalable "
      "architectures",
      "flexible framework for efficient and adaptable sequence modeling", "linear complexity",
      "constant memory usage");
  CAPTURE(phrase);
  CHECK(std::find(phrases.begin(), phrases.end(), phrase) != phrases.end());
}

TEST_CASE("docs: what is quoted from the paper's text stands in it") {
  const fs::path paper = source / "../shared/data/paper.txt";
  if (!fs::exists(paper)) {
    WARN("skipped: the paper's text is not beside the checkout");
    return;
  }
  const std::string text = plain(text_of(paper));
  const auto phrases = quoted_phrases();
  CHECK(phrases.size() > 25);
  for (const std::string& phrase : phrases) {
    CAPTURE(phrase);
    CHECK(text.find(plain(phrase)) != std::string::npos);
  }
}

TEST_CASE("docs: code that a page shows stands in the file it is from") {
  const auto found = quotations();
  CHECK(found.size() >= 5);
  for (const Quotation& quotation : found) {
    const std::string file = without_blanks(text_of(source / quotation.file));
    std::size_t from = 0;
    std::string piece;
    for (const std::string& line : lines_of(quotation.code + "\n...\n")) {
      if (line != "...") {
        piece += line;
        continue;
      }
      INFO(quotation.page << " shows as from " << quotation.file << ":\n" << piece);
      const std::size_t at = file.find(without_blanks(piece), from);
      REQUIRE(at != std::string::npos);
      from = at + 1;
      piece.clear();
    }
  }
}

}  // namespace metascale
