// resources and launch: what a run needs, and who starts it.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <regex>

#include "core/units.hpp"
#include "sweeps/definition/parts.hpp"
#include "sweeps/executor/job_script.hpp"
#include "sweeps/executor/quote.hpp"
#include "sweeps/executor/sbatch_option.hpp"

namespace metascale::definition {
namespace {

std::int64_t auto_or_count(const YamlNode& node) {
  return node.text == "auto" ? 0 : read_integer(node, 1, 4096);
}

// A text that becomes an option, a word or one line of a script.
std::string read_line(const YamlNode& node) {
  std::string text = read_string(node);
  if (std::any_of(text.begin(), text.end(),
                  [](char c) { return std::iscntrl(static_cast<unsigned char>(c)) && c != '\t'; }))
    throw yaml_error(node, "a line break or another control character",
                     "write one line; several make a list");
  return text;
}

std::vector<std::string> read_lines(const YamlNode& node) {
  return read_list_of(node, read_line, OneOrMany::or_one);
}

// Of the first resources that have a time; nothing where all jobs have the site's limit.
std::optional<Place> place_of_time(const ResourcesDefinition& resources) {
  if (resources.standard.time) return resources.standard.given.at("time");
  for (const auto& [selector, resource] : resources.when)
    if (resource.time) return resource.given.at("time");
  return std::nullopt;
}

// Of sbatch, which refuses, ignores or misreads any other text only once it is handed over.
std::string read_option(const YamlNode& node, const std::optional<Place>& time) {
  const std::string text = read_line(node);
  std::string option = one_word(text);
  if (!looks_like_option(option))
    throw yaml_error(node, fmt::format("'{}' is no option of sbatch", text),
                     "write its options, one each and without #SBATCH, such as --comment=text; "
                     "shell code belongs in setup");
  if (const auto instead = own_option_in(option))
    throw yaml_error(node, fmt::format("'{}' is an option that submit gives sbatch itself", text),
                     *instead);
  if (time && is_time_limit(option))
    throw yaml_error(node,
                     fmt::format("'{}' would be overruled by {} ({}:{}), which submit gives sbatch "
                                 "as an argument",
                                 text, time->path, time->where.file, time->where.line),
                     "keep one of them; only resources.time tells jobs how long they have");
  if (const auto instead = mended_option(text))
    throw yaml_error(node, fmt::format("'{}' is one word for sbatch, which misreads it", text),
                     *instead);
  return option;
}

// A command: a list of words, or one text that is split at its blanks, as a shell would.
std::vector<std::string> read_words(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::list) return read_list_of(node, read_line);
  const auto words = split_words(read_line(node));
  if (!words) throw yaml_error(node, "a quotation mark that is not closed", "close it");
  return *words;
}

std::string read_memory(const YamlNode& node) {
  static const std::regex form("[0-9]+[KMGT]?");
  std::string text = read_string(node);
  if (!std::regex_match(text, form))
    throw yaml_error(node, fmt::format("'{}' is no amount of memory", text),
                     "write a whole number of MiB, or 16G");
  return text;
}

std::size_t read_gpu_memory(const YamlNode& node) {
  const auto bytes = parse_bytes(read_string(node));
  if (!bytes || *bytes < 1)
    throw yaml_error(node, fmt::format("'{}' is no amount of memory", read_string(node)),
                     "write that of one GPU, for example 80 GiB");
  return std::size_t(*bytes);
}

std::string read_variable(const YamlNode& node) {
  static const std::regex form("[A-Za-z_][A-Za-z0-9_]*");
  std::string name = read_string(node);
  if (!std::regex_match(name, form))
    throw yaml_error(node, fmt::format("'{}' is no name of a variable", name),
                     "write a name such as PATH; values are those of the shell that submits");
  return name;
}

std::string read_pattern(const YamlNode& node) {
  std::string text = read_string(node);
  try {
    const std::regex is_good(text);
  } catch (const std::regex_error& error) {
    throw yaml_error(node, fmt::format("'{}' is no regular expression: {}", text, error.what()),
                     "write one of ECMAScript's");
  }
  return text;
}

void read_resource(const YamlNode& node, YamlMap& map, ResourceSettings& resource) {
  const auto count = [](const YamlNode& at) { return read_integer(at, 0, 1 << 20); };
  const auto at_least_one = [](const YamlNode& at) { return read_integer(at, 1, 1 << 20); };
  map.read("gpus", resource.gpus, count);
  map.read("ranks", resource.ranks, at_least_one);
  map.read("nodes", resource.nodes, at_least_one);
  map.read("cpus", resource.cpus, at_least_one);
  map.read("runs_per_gpu", resource.runs_per_gpu, at_least_one);
  map.read("runs_per_node", resource.runs_per_node, at_least_one);
  map.read("time", resource.time, read_duration);
  map.read("memory", resource.memory, read_memory);
  map.read("gpu_memory", resource.gpu_memory, read_gpu_memory);
  for (std::size_t i = 0; i < node.keys.size(); ++i)
    resource.given[node.keys[i]] = place_of(node.items[i]);
  if (resource.runs_per_gpu.value_or(1) > 1 && resource.runs_per_node.value_or(1) > 1)
    throw yaml_error(
        node, "runs_per_gpu and runs_per_node",
        "write runs_per_gpu for runs that share a GPU, runs_per_node for runs without");
}

LocalLaunch read_local(const YamlNode& node) {
  LocalLaunch local;
  read_map(node, [&](YamlMap& map) {
    map.read("slots", local.slots, auto_or_count);
    map.read("threads", local.threads, auto_or_count);
  });
  return local;
}

// sbatch takes no longer warning.
double read_signal_before(const YamlNode& node) {
  constexpr double most = 65535;
  const double seconds = read_duration(node);
  if (seconds > most)
    throw yaml_error(node, fmt::format("'{}' is too early a warning", node.text),
                     fmt::format("at most {:.0f} seconds; 2m are enough for most", most));
  return seconds;
}

void read_job(YamlMap& map, JobSettings& job) {
  map.read("signal_before", job.signal_before, read_signal_before);
  map.read("max_stalled_timeouts", job.max_stalled_timeouts,
           [](const YamlNode& at) { return read_integer(at, 1, 1000); });
  map.read("modules", job.modules, read_lines);
  map.read("setup", job.setup, read_lines);
  map.read("container", job.container, read_words);
}

SlurmLaunch read_slurm(const YamlNode& node, const std::optional<Place>& time, JobSettings& job) {
  SlurmLaunch slurm;
  const auto read_options = [&](const YamlNode& at) {
    return read_list_of(
        at, [&](const YamlNode& item) { return read_option(item, time); }, OneOrMany::or_one);
  };
  read_map(node, [&](YamlMap& map) {
    map.read("partition", slurm.partition, read_line);
    map.read("account", slurm.account, read_line);
    map.read("qos", slurm.qos, read_line);
    map.read("constraint", slurm.constraint, read_line);
    map.read("array_cap", slurm.array_cap,
             [](const YamlNode& at) { return read_integer(at, 1, 1 << 20); });
    map.read("lines", slurm.lines, read_options);
    map.read("environment", slurm.environment,
             [](const YamlNode& at) { return read_list_of(at, read_variable, OneOrMany::or_one); });
    map.read("srun", slurm.srun, read_words);
    read_job(map, job);
  });
  return slurm;
}

// sh -c "qsub {script}" would give a shell a path that it may take for commands.
void refuse_holes_in_shell_code(const YamlNode& node, const std::vector<std::string>& words) {
  for (std::size_t i = 1; i + 1 < words.size(); ++i)
    if (words[i] == "-c" && words[i + 1].find('{') != std::string::npos)
      throw yaml_error(node, fmt::format("'{}' is code with a hole for text in it", words[i + 1]),
                       "hand it over as an argument: [sh, -c, 'qsub \"$1\"', sh, '{script}']");
}

// A word that is {jobs} stands for several, where jobs are asked for.
enum class Jobs { one, several };

void refuse_unknown_holes(const YamlNode& node, const std::vector<std::string>& words,
                          Jobs jobs = Jobs::one) {
  for (const std::string& word : words) {
    if (word == "{jobs}" && jobs == Jobs::several) continue;
    if (const std::string hole = unknown_hole(word); !hole.empty())
      throw yaml_error(node, fmt::format("'{}' stands for nothing", hole),
                       fmt::format("there are {}; {{{{ is a brace", known_holes()));
  }
}

std::vector<std::string> read_command(const YamlNode& node, Jobs jobs) {
  std::vector<std::string> words = read_words(node);
  if (words.empty()) throw yaml_error(node, "an empty command", "name a program");
  refuse_holes_in_shell_code(node, words);
  refuse_unknown_holes(node, words, jobs);
  return words;
}
std::vector<std::string> read_command_of_one(const YamlNode& node) {
  return read_command(node, Jobs::one);
}

// Lines and words in which holes are filled.
template <typename Read>
auto with_holes(Read&& read) {
  return [read](const YamlNode& node) {
    std::vector<std::string> texts = read(node);
    refuse_unknown_holes(node, texts);
    return texts;
  };
}

TemplateLaunch read_template(const YamlNode& node, JobSettings& job) {
  TemplateLaunch commands;
  read_map(node, [&](YamlMap& map) {
    commands.submit = read_command(map.at("submit"), Jobs::one);
    commands.state = read_command(map.at("state"), Jobs::several);
    commands.cancel = read_command(map.at("cancel"), Jobs::several);
    map.read("find", commands.find, read_command_of_one);
    map.read("job", commands.job, read_pattern);
    map.read("ended", commands.ended, read_pattern);
    map.read("gone", commands.gone, read_pattern);
    map.read("lines", commands.lines, with_holes(read_lines));
    map.read("launcher", commands.launcher, with_holes(read_words));
    read_job(map, job);
  });
  return commands;
}

}  // namespace

ResourcesDefinition read_resources(Definition& definition, const YamlNode& node) {
  ResourcesDefinition resources;
  read_map(node, [&](YamlMap& map) {
    if (const YamlNode* standard = map.find("default"))
      read_map(*standard,
               [&](YamlMap& keys) { read_resource(*standard, keys, resources.standard); });
    const YamlNode* when = map.find("when");
    for (const YamlNode& item : when ? read_list(*when) : std::span<const YamlNode>())
      read_map(item, [&](YamlMap& keys) {
        auto& [selector, resource] = resources.when.emplace_back();
        selector = read_selector(definition, keys);
        read_resource(item, keys, resource);
      });
  });
  return resources;
}

LaunchDefinition read_launch(const YamlNode& node, const ResourcesDefinition& resources) {
  LaunchDefinition launch{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    if (const YamlNode* local = map.find("local")) launch.how = read_local(*local);
    if (const YamlNode* slurm = map.find("slurm"))
      launch.how = read_slurm(*slurm, place_of_time(resources), launch.job);
    if (const YamlNode* commands = map.find("template"))
      launch.how = read_template(*commands, launch.job);
  });
  if (node.keys.size() != 1)
    throw yaml_error(node, fmt::format("{} ways to launch", node.keys.size()),
                     "name one of local, slurm and template");
  return launch;
}

}  // namespace metascale::definition

namespace metascale {

ResourceSettings merged(const ResourceSettings& under, const ResourceSettings& over) {
  ResourceSettings result = under;
  const auto put = [](auto& target, const auto& value) {
    if (value) target = value;
  };
  put(result.gpus, over.gpus);
  put(result.ranks, over.ranks);
  put(result.nodes, over.nodes);
  put(result.cpus, over.cpus);
  put(result.runs_per_gpu, over.runs_per_gpu);
  put(result.runs_per_node, over.runs_per_node);
  put(result.time, over.time);
  put(result.memory, over.memory);
  put(result.gpu_memory, over.gpu_memory);
  for (const auto& [key, place] : over.given) result.given[key] = place;
  return result;
}

}  // namespace metascale
