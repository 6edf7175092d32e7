// docs/sweep-file.md is checked: its examples are accepted, and its tables have a row for every key
// that they use. So are the sweep files and the parts of some that other pages show.
#include <filesystem>
#include <regex>
#include <set>

#include "core/atomic_file.hpp"
#include "core/command.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;

namespace {

const std::string source = METASCALE_SOURCE;

struct Block {
  std::string kind;  // what stands behind ```yaml
  std::string text;
  int line = 0;
};

std::vector<Block> blocks_of(const std::string& page) {
  std::vector<Block> blocks;
  std::istringstream lines(page);
  std::string line;
  bool is_open = false;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (is_open && line == "```") {
      is_open = false;
    } else if (is_open) {
      blocks.back().text += line + "\n";
    } else if (line.starts_with("```yaml")) {
      is_open = true;
      blocks.push_back(
          {.kind = line.substr(std::min<std::size_t>(line.size(), 8)), .line = number + 1});
    }
  }
  return blocks;
}

const std::vector<Block>& blocks() {
  static const std::vector<Block> all = blocks_of(read_file(source + "/docs/sweep-file.md"));
  return all;
}

// The example as `check` would see it: over the page's first block, which is complete.
Definition definition_of(const Block& block) {
  YamlNode top = parse_yaml(block.text, "docs/sweep-file.md");
  if (block.kind == "standalone")
    return parse_definition(block.text, source + "/sweeps/example.yaml");
  if (top.find("base")) return parse_definition(block.text, source + "/sweeps/example.yaml");
  return parse_definition(
      to_yaml(merge_over(parse_yaml(blocks()[0].text, "docs/sweep-file.md"), top)),
      "docs/sweep-file.md");
}

std::vector<std::string> pages() {
  std::vector<std::string> pages{"README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(source + "/docs"))
    if (entry.path().extension() == ".md")
      pages.push_back("docs/" + entry.path().filename().string());
  std::sort(pages.begin(), pages.end());
  return pages;
}

// ```yaml: a whole sweep file; ```yaml over NAME: lines that go over sweeps/NAME.
Definition definition_elsewhere(const Block& block, const std::string& page) {
  const std::string over = "over ";
  if (block.kind.empty()) return parse_definition(block.text, source + "/" + page);
  REQUIRE(block.kind.starts_with(over));
  const std::string base = "base: " + block.kind.substr(over.size()) + "\n";
  return parse_definition(base + block.text, source + "/sweeps/example.yaml");
}

// Keys whose children are told in the row of the parent.
bool ends_the_way(const std::string& path) {
  static const std::set<std::string> leaves{
      "exclude",           "include.from",      "include.grow",
      "resources.default", "resources.when",    "launch.slurm",
      "launch.template",   "match.tuning.over", "zip",
      "include.training",  "arms.*.training",   "axes.size.training",
      "data.probe",        "axes.size.probe"};
  return leaves.contains(path);
}

void collect(const YamlNode& node, const std::string& path, std::set<std::string>& keys) {
  if (ends_the_way(path)) {
    keys.insert(path);
    return;
  }
  if (node.kind == YamlNode::Kind::list)
    for (const YamlNode& item : node.items) collect(item, path, keys);
  if (node.kind != YamlNode::Kind::map) {
    keys.insert(path);
    return;
  }
  for (std::size_t i = 0; i < node.keys.size(); ++i)
    collect(node.items[i],
            path.empty() ? node.keys[i] : path + "." + (path == "arms" ? "*" : node.keys[i]), keys);
}

std::set<std::string> documented_keys() {
  const std::string page = read_file(source + "/docs/sweep-file.md");
  // | `key` | type | default | yes, no or as there | meaning |
  const std::regex row(R"(\n\| `([a-z0-9_.*]+)` \|[^|\n]+\|[^|\n]+\| (yes|no|as)[^|\n]*\|)");
  std::set<std::string> keys;
  for (std::sregex_iterator match(page.begin(), page.end(), row), end; match != end; ++match)
    keys.insert((*match)[1]);
  return keys;
}

// `include` names a run by its axes, as axes do.
bool is_axis_of_include(const std::string& key) {
  return key == "include.arm" || key == "include.size" || key == "include.length" ||
         key == "include.seed";
}

}  // namespace

TEST_CASE("documentation: check accepts every example") {
  REQUIRE(blocks().size() >= 12);
  for (const Block& block : blocks()) {
    CAPTURE(block.line, block.text);
    if (block.kind == "not-built")
      CHECK_THAT(refusal_of([&] { resolve(definition_of(block)); }),
                 Catch::Contains("not built yet"));
    else
      CHECK_NOTHROW(resolve(definition_of(block)));
  }
}

TEST_CASE("documentation: check accepts the sweep files that other pages show") {
  int examples = 0;
  for (const std::string& page : pages()) {
    if (page == "docs/sweep-file.md") continue;  // above
    for (const Block& block : blocks_of(read_file(source + "/" + page))) {
      CAPTURE(page, block.line, block.text);
      CHECK_NOTHROW(resolve(definition_elsewhere(block, page)));
      ++examples;
    }
  }
  CHECK(examples >= 4);
}

TEST_CASE("documentation: the example for LSF gives bsub the script on stdin, as it must be") {
  const auto block = std::find_if(blocks().begin(), blocks().end(), [](const Block& candidate) {
    return candidate.text.find("bsub") != std::string::npos;
  });
  REQUIRE(block != blocks().end());
  std::vector<std::string> words =
      std::get<TemplateLaunch>(definition_of(*block).launch.how).submit;
  const Folder folder;
  std::ofstream(folder.path / "bsub") << "#!/bin/sh\necho \"$@\"; cat\n";
  chmod((folder.path / "bsub").c_str(), 0755);
  std::ofstream(folder.path / "a script") << "#BSUB -W 10\n";
  for (std::string& word : words)
    word = word == "{name}"     ? "it's one"
           : word == "{script}" ? (folder.path / "a script").string()
                                : word;
  words.insert(words.begin(), {"env", "PATH=" + folder.path.string() + ":/usr/bin:/bin"});
  CHECK(run_command(words).output == "-J it's one\n#BSUB -W 10\n");
}

TEST_CASE("documentation: every key of the examples has its row") {
  const std::set<std::string> documented = documented_keys();
  CHECK(documented.size() > 80);
  for (const Block& block : blocks()) {
    std::set<std::string> used;
    collect(parse_yaml(block.text, "docs/sweep-file.md"), "", used);
    for (const std::string& key : used) {
      CAPTURE(block.line, key);
      CHECK((documented.contains(key) || is_axis_of_include(key)));
    }
  }
}

TEST_CASE("documentation: every row is shown by an example") {
  std::set<std::string> used;
  for (const Block& block : blocks()) {
    const YamlNode root = parse_yaml(block.text, "docs/sweep-file.md");
    collect(root, "", used);
    for (std::size_t i = 0; i < root.keys.size(); ++i) used.insert(root.keys[i]);
  }
  for (const std::string& key : documented_keys()) {
    CAPTURE(key);
    CHECK((used.contains(key) || used.lower_bound(key + ".") != used.end()));
  }
}

TEST_CASE("documentation: the id column is right") {
  // One changed value per key of which the page says yes or no, on the smallest file.
  const auto [key, change] = GENERATE(table<std::string, std::string>(
      {{"training.context", "training.context=64"},
       {"training.micro_batch", "training.micro_batch=2"},
       {"training.precision", "training.precision=bf16"},
       {"training.recompute", "training.recompute=block"},
       {"training.wkv", "training.wkv=scan"},
       {"training.low_rank", "training.low_rank=joined"},
       {"training.stochastic_rounding", "training.stochastic_rounding=true"},
       {"training.schedule.kind", "training.schedule.kind=linear"},
       {"training.schedule.warmup", "training.schedule.warmup=9%"},
       {"training.learning_rate", "training.learning_rate=1e-3"},
       {"training.beta1", "training.beta1=0.8"},
       {"training.clip", "training.clip=2"},
       {"data.name", "data.name=x"},
       {"data.train", "data.train=x"},
       {"data.order", "data.order=sequential"},
       {"data.vocabulary", "data.vocabulary=300"},
       {"evaluation.final", "evaluation.final=5 windows"},
       {"evaluation.every", "evaluation.every=5 steps"},
       {"log.keep", "log.keep=5"},
       {"policy.non_finite", "policy.non_finite=skip"},
       {"policy.spike.action", "policy.spike.action=skip"},
       {"axes.seed", "axes.seed=[2]"},
       {"name", "name=x"},
       {"device", "device=cuda"}}));
  CAPTURE(key);
  const std::string page = read_file(source + "/docs/sweep-file.md");
  std::smatch row;
  const std::regex line("\n\\| `" + std::regex_replace(key, std::regex("\\."), "\\.") +
                        R"(` \|[^|\n]+\|[^|\n]+\| (yes|no)\b)");
  REQUIRE(std::regex_search(page, row, line));
  const Resolution before = small_resolution(), after = small_resolution({change});
  CHECK((before.runs[0].config.id != after.runs[0].config.id) == (row[1] == "yes"));
}
