#include "data/corpus.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <vector>

#include "core/command.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

struct Tier {
  const char* name;
  const char* lock;  // file of the packages that it is made of; empty: whatever the archive has
};
constexpr std::array<Tier, 3> tiers{
    {{"small", "lock-small.json"}, {"full", "lock-full.json"}, {"max", ""}}};

const Tier& find_tier(const std::string& name) {
  for (const Tier& tier : tiers)
    if (name == tier.name) return tier;
  throw Error(concat("there is no corpus tier '", name, "'; there are small, full and max"),
              ExitCode::usage);
}

}  // namespace

std::filesystem::path corpus_scripts() {
  std::error_code none;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", none);
  const std::array<std::filesystem::path, 2> folders{
      program.parent_path().parent_path() / "share" / "metascale" / "data", METASCALE_DATA_SCRIPTS};
  for (const std::filesystem::path& folder : folders)
    if (std::filesystem::exists(folder / "make_corpus.py")) return folder;
  throw Error(concat("make_corpus.py is neither in ", folders[0].string(), " nor in ",
                     folders[1].string(), "; install it or keep the source folder"),
              ExitCode::unavailable);
}

void build_corpus(const CorpusOptions& options) {
  const Tier& tier = find_tier(options.tier);
  const std::filesystem::path scripts = corpus_scripts();
  const std::filesystem::path beside =
      (std::filesystem::absolute(options.folder) / "..").lexically_normal();
  const std::filesystem::path cache = options.cache.empty() ? beside / "packages" : options.cache;
  std::filesystem::create_directories(options.folder);
  std::vector<std::string> arguments{"python3", (scripts / "make_corpus.py").string(),
                                     "--tier",  tier.name,
                                     "--out",   options.folder.string(),
                                     "--cache", cache.string()};
  if (*tier.lock) arguments.insert(arguments.end(), {"--lock", (scripts / tier.lock).string()});
  std::deque<std::string> last_lines;
  const auto keep_and_show = [&](const std::string& line) {
    last_lines.push_back(line);
    if (last_lines.size() > 5) last_lines.pop_front();
    if (options.progress) options.progress(line);
  };
  const CommandResult built =
      run_command(arguments, {.seconds = no_time_limit, .line = keep_and_show});
  if (!built.found)
    throw Error(concat("cannot run ", built.error, "; install it or put it on PATH"),
                ExitCode::unavailable);
  if (built.good()) return;
  std::string words;
  for (const std::string& line : last_lines) words += "\n  " + line;
  throw Error(concat("building the corpus ended with code ", built.exit_code, ":", words),
              ExitCode::unavailable);
}

}  // namespace metascale
