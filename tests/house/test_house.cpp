// The rules of the house [rules.hpp], asked of every file of the project.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "tests/house/rules.hpp"

namespace metascale::house {
namespace {

namespace fs = std::filesystem;
const fs::path root = METASCALE_SOURCE;

File read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {path.lexically_relative(root).generic_string(),
          {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()}};
}

// Text files of ours: the top folder's, and those of rooms, docs, scripts and tests, golden data
// apart.
std::vector<File> files_matching(const std::regex& name) {
  std::vector<File> files;
  const auto add = [&](const fs::path& path) {
    if (fs::is_regular_file(path) && std::regex_match(path.filename().string(), name))
      files.push_back(read(path));
  };
  for (const auto& entry : fs::directory_iterator(root)) add(entry.path());
  for (const char* folder : {"core", "kernels", "data", "experiments", "sweeps", "analysis", "cli",
                             "bench", "docs", "scripts", "tests"})
    for (auto entry = fs::recursive_directory_iterator(root / folder);
         entry != fs::recursive_directory_iterator(); ++entry) {
      if (entry->path() == root / "tests" / "golden") entry.disable_recursion_pending();
      add(entry->path());
    }
  return files;
}

const std::regex code(R"(.*\.(hpp|cpp|h|cuh|cu))");
const std::regex text(R"(.*\.(hpp|cpp|h|cuh|cu|py|sh|md|yaml|txt|cmake|js|css|html)|LICENSE)");
const std::regex cmake_lists(R"(CMakeLists\.txt)");
const std::regex pages(R"(.*\.md)");

Violations violations_of(const std::vector<File>& files, Violations (*rule)(const File&)) {
  Violations all;
  for (const File& file : files)
    for (const std::string& violation : rule(file)) all.push_back(violation);
  return all;
}

std::string text_of_folder(const char* folder) {
  std::string all;
  for (const auto& entry : fs::directory_iterator(root / folder))
    if (entry.is_regular_file()) all += read(entry.path()).text;
  return all;
}

std::string at(const File& page, const Mention& mention) {
  return page.path + ":" + std::to_string(mention.line) + ": " + mention.what;
}

}  // namespace

TEST_CASE("rooms include only what stands below them") {
  const std::vector<File> files = files_matching(code);
  REQUIRE(files.size() > 50);
  CHECK(violations_of(files, wrong_includes) == Violations{});
}

TEST_CASE("rooms link only what stands below them") {
  CHECK(violations_of(files_matching(cmake_lists), wrong_links) == Violations{});
}

TEST_CASE("text is ASCII and names no machine") {
  CHECK(violations_of(files_matching(text), wrong_style) == Violations{});
}

TEST_CASE("code is short and keeps its promises about CUDA") {
  CHECK(violations_of(files_matching(code), wrong_code) == Violations{});
}

TEST_CASE("every source of a room is in its list") {
  const std::vector<File> sources = files_matching(code);
  Violations all;
  for (const char* room :
       {"core", "kernels", "data", "experiments", "sweeps", "analysis", "cli", "bench"})
    for (const std::string& violation :
         unlisted_sources(read(root / room / "CMakeLists.txt"), sources))
      all.push_back(violation);
  CHECK(all == Violations{});
}

TEST_CASE("every operator has its tests") {
  CHECK(untested_operators(files_matching(code)) == Violations{});
}

TEST_CASE("links and scripts of every page exist") {
  Violations missing;
  for (const File& page : files_matching(pages)) {
    const fs::path folder = (root / page.path).parent_path();
    for (const Mention& link : links_in(page))
      if (!fs::exists(folder / link.what)) missing.push_back(at(page, link));
    for (const Mention& script : scripts_in(page))
      if (!fs::exists(root / script.what)) missing.push_back(at(page, script));
  }
  CHECK(missing == Violations{});
}

TEST_CASE("verbs of every page exist") {
  const std::string cli = text_of_folder("cli");
  Violations missing;
  for (const File& page : files_matching(pages))
    for (const Mention& verb : verbs_in(page))
      if (cli.find('"' + verb.what + '"') == std::string::npos) missing.push_back(at(page, verb));
  CHECK(missing == Violations{});
}

}  // namespace metascale::house
