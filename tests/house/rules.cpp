#include "tests/house/rules.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <sstream>
#include <string_view>

namespace metascale::house {
namespace {

constexpr int longest_file = 500;  // lines

struct Room {
  std::string_view name;
  std::vector<std::string_view> may_include;
};

// core <- {data, kernels} <- experiments <- sweeps <- cli;  core <- analysis <- cli
const std::array<Room, 9> rooms{{
    {"core", {"core"}},
    {"kernels", {"kernels", "core"}},
    {"data", {"data", "core"}},
    {"experiments", {"experiments", "data", "kernels", "core"}},
    {"sweeps", {"sweeps", "experiments", "core"}},
    {"analysis", {"analysis", "core"}},
    {"cli", {"cli", "sweeps", "analysis", "experiments", "data", "kernels", "core"}},
    {"bench", {"bench", "sweeps", "analysis", "experiments", "data", "kernels", "core"}},
    {"tests",
     {"tests", "cli", "bench", "sweeps", "analysis", "experiments", "data", "kernels", "core"}},
}};

const Room* room_of(std::string_view path) {
  const std::string_view name = path.substr(0, path.find('/'));
  const auto found =
      std::find_if(rooms.begin(), rooms.end(), [&](const Room& room) { return room.name == name; });
  return found == rooms.end() ? nullptr : &*found;
}

bool may_include(const Room& room, std::string_view other) {
  return std::find(room.may_include.begin(), room.may_include.end(), other) !=
         room.may_include.end();
}

// Calls visit(line number, line) for every line.
template <typename Visit>
void each_line(const std::string& text, Visit&& visit) {
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) visit(++number, line);
}

std::string at(const File& file, int line, const std::string& what) {
  return file.path + ":" + std::to_string(line) + ": " + what;
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// Safetensors headers have a limit of their own.
bool parses_json(const File& file) {
  return file.path == "core/json_text.cpp" || file.path == "core/safetensors.cpp";
}

// What is wrong with #include "target" in a file of that room; empty where nothing is.
std::string wrong_include(const Room& room, const std::string& target) {
  if (target.find("../") != std::string::npos) return "includes by \"../\"";
  const Room* other = room_of(target);
  if (!other || target.find('/') == std::string::npos)
    return "includes \"" + target + "\", which does not name a room";
  if (!may_include(room, other->name))
    return std::string(room.name) + " may not include " + std::string(other->name);
  const bool is_private = std::count(target.begin(), target.end(), '/') > 1;
  if (is_private && other != &room && room.name != "tests" && room.name != "bench")
    return "\"" + target + "\" is private to " + std::string(other->name);
  return "";
}

}  // namespace

Violations wrong_includes(const File& file) {
  static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  static const std::regex cuda(R"((cuda|cublas|cudnn|nccl|nvml|curand|cooperative_groups).*)");
  Violations found;
  const Room* room = room_of(file.path);
  if (!room) return {file.path + ": code outside the rooms"};
  each_line(file.text, [&](int number, const std::string& line) {
    std::smatch parts;
    if (!std::regex_search(line, parts, include)) return;
    const std::string target = parts[2];
    if (parts[1] == "<") {
      const bool may = starts_with(file.path, "kernels/cuda/") || room->name == "tests";
      if (!may && std::regex_match(target, cuda))
        found.push_back(at(file, number, "<" + target + "> outside kernels/cuda"));
      return;
    }
    const std::string what = wrong_include(*room, target);
    if (!what.empty()) found.push_back(at(file, number, what));
  });
  return found;
}

Violations wrong_links(const File& cmake_lists) {
  static const std::regex link(R"(target_link_libraries\(\s*(metascale\w*)([^)]*)\))");
  static const std::regex library(R"(metascale_(\w+))");
  Violations found;
  const Room* room = room_of(cmake_lists.path);
  if (!room || room->name == "tests") return found;
  const std::string& text = cmake_lists.text;
  for (std::sregex_iterator i(text.begin(), text.end(), link), end; i != end; ++i) {
    const std::string libraries = (*i)[2];
    for (std::sregex_iterator j(libraries.begin(), libraries.end(), library); j != end; ++j) {
      const std::string other = (*j)[1];
      if (other != "flags" && !may_include(*room, other))
        found.push_back(cmake_lists.path + ": " + (*i)[1].str() + " may not link metascale_" +
                        other);
    }
  }
  return found;
}

Violations wrong_style(const File& file) {
  // In pieces, so that this file keeps the rule.
  static const std::regex machine_path(std::string("/(ho") + "me|ro" + "ot|wo" + "rk|Us" + "ers)/");
  Violations found;
  each_line(file.text, [&](int number, const std::string& line) {
    if (std::any_of(line.begin(), line.end(),
                    [](char c) { return static_cast<signed char>(c) < 0; }))
      found.push_back(at(file, number, "is not ASCII"));
    if (std::regex_search(line, machine_path))
      found.push_back(at(file, number, "names a folder of one machine"));
  });
  return found;
}

Violations wrong_code(const File& file) {
  // A variable, where no parenthesis tells of a function; what is no state of ours says why.
  static const std::regex mutable_static(
      R"(^\s*(inline )?static (?!const |constexpr |inline )[^()]*[;={](?!.*// one per process))");
  Violations found;
  const bool is_test = starts_with(file.path, "tests/");
  const auto lines = std::count(file.text.begin(), file.text.end(), '\n');
  if (lines >= longest_file)
    found.push_back(file.path + ": has " + std::to_string(lines) + " lines; " +
                    std::to_string(longest_file) + " are too many for one subject");
  if (!is_test && file.text.find("#include <Eigen/") != std::string::npos &&
      !starts_with(file.text, "#define EIGEN_DONT_PARALLELIZE"))
    found.push_back(file.path +
                    ": lets Eigen take threads of its own; define EIGEN_DONT_PARALLELIZE first");
  each_line(file.text, [&](int number, const std::string& line) {
    if (is_test) return;
    if (line.find("<<<") != std::string::npos)
      found.push_back(at(file, number, "launches by <<<; use cuda::launch"));
    if (line.find("son::parse(") != std::string::npos && !parses_json(file))
      found.push_back(at(file, number, "parses JSON of any depth; use core/json_text.hpp"));
    if (line.find("thread_local") != std::string::npos)
      found.push_back(at(file, number,
                         "thread_local: a mutable static (and what the CUDA emulator "
                         "takes for shared memory)"));
    if (std::regex_search(line, mutable_static))
      found.push_back(at(file, number, "a mutable static; hold it in an object that is passed"));
    if (line.find("ifdef METASCALE_WITH") != std::string::npos)
      found.push_back(
          at(file, number, "chooses a backend by macro; the linker chooses (kernels/queue.hpp)"));
  });
  return found;
}

Violations unlisted_sources(const File& cmake_lists, const std::vector<File>& files) {
  static const std::regex source(R"(.*\.(cpp|cu)$)");
  Violations found;
  const std::string folder = cmake_lists.path.substr(0, cmake_lists.path.rfind('/') + 1);
  for (const File& file : files) {
    if (!starts_with(file.path, folder) || !std::regex_match(file.path, source)) continue;
    const std::string name = file.path.substr(folder.size());
    if (cmake_lists.text.find(name) == std::string::npos)
      found.push_back(file.path + ": is in no list of " + cmake_lists.path);
  }
  return found;
}

namespace {

// Lines between ``` become empty: [&](int i) is no link.
std::string without_code_blocks(const std::string& text) {
  std::string result;
  bool is_code = false;
  each_line(text, [&](int, const std::string& line) {
    const bool is_fence = starts_with(line, "```");
    if (!is_code && !is_fence) result += line;
    result += '\n';
    if (is_fence) is_code = !is_code;
  });
  return result;
}

std::vector<Mention> mentions(const File& page, const std::regex& pattern) {
  std::vector<Mention> found;
  each_line(page.text, [&](int number, const std::string& line) {
    for (std::sregex_iterator i(line.begin(), line.end(), pattern), end; i != end; ++i)
      found.push_back({number, (*i)[1]});
  });
  return found;
}

}  // namespace

std::vector<Mention> links_in(const File& page) {
  static const std::regex link(R"(\]\(([^)#\s]+)[^)]*\))");
  std::vector<Mention> found = mentions({page.path, without_code_blocks(page.text)}, link);
  std::erase_if(found, [](const Mention& link) {
    return link.what.find("://") != std::string::npos || starts_with(link.what, "mailto:");
  });
  return found;
}

std::vector<Mention> scripts_in(const File& page) {
  static const std::regex script(R"((?:^|[\s`])\./([\w/]+\.sh))");
  return mentions(page, script);
}

std::vector<Mention> verbs_in(const File& page) {
  static const std::regex command(R"((?:^\s*(?:\$ )?|`)(?:build/release/)?metascale ([a-z]\w*))");
  return mentions(page, command);
}

}  // namespace metascale::house
