#include "sweeps/executor/sbatch_option.hpp"

#include <cctype>
#include <string_view>

namespace metascale {
namespace {

constexpr const char* blanks = " \t";

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

bool is_long(const std::string& word) { return word.starts_with("--"); }

// As sbatch reads it: a long option may be cut short, short ones without a value stand together.
bool is_option(const std::string& word, std::string_view name, char letter) {
  if (is_long(word)) {
    const std::string given = word.substr(2, word.find('=') - 2);
    return !given.empty() && name.starts_with(given);
  }
  constexpr std::string_view without_value = "HIkOQsvVhuX";
  for (std::size_t i = 1; word.starts_with("-") && i < word.size(); ++i) {
    if (word[i] == letter) return true;
    if (without_value.find(word[i]) == std::string_view::npos) break;
  }
  return false;
}

bool holds_another_option(const std::string& text) {
  for (std::size_t at = text.find_first_of(blanks); at != std::string::npos;
       at = text.find_first_of(blanks, at + 1))
    if (looks_like_option(text.substr(at + 1))) return true;
  return false;
}

// "--comment=" and "-C".
std::size_t begin_of_value(const std::string& word) {
  if (!is_long(word)) return 2;
  const std::size_t equals = word.find('=');
  return equals == std::string::npos ? word.size() : equals + 1;
}

}  // namespace

std::string one_word(const std::string& line) {
  std::string text = trimmed(line);
  const std::size_t end = text.find_first_of(is_long(text) ? "= \t" : blanks);
  if (end == std::string::npos) return text;
  std::string value = trimmed(text.substr(end));
  if (!is_long(text)) return text.substr(0, end) + value;
  if (value.starts_with("=")) value = trimmed(value.substr(1));
  return text.substr(0, end) + "=" + value;
}

std::optional<std::string> mended_option(const std::string& line) {
  if (holds_another_option(trimmed(line)))
    return "write one option each: ['--exclusive', '--comment=text']";
  const std::string word = one_word(line);
  const std::size_t begin = begin_of_value(word);
  const std::string name = word.substr(0, begin), value = word.substr(begin);
  if (!is_long(word) && value.starts_with("="))  // it would be a part of the value
    return "write " + name + trimmed(value.substr(1));
  const bool is_quoted =
      value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0];
  // They would be a part of it, too: no shell reads the line.
  if (is_quoted) return "write " + name + value.substr(1, value.size() - 2);
  return std::nullopt;
}

bool looks_like_option(const std::string& word) {
  const std::size_t name = word.find_first_not_of('-');
  return (name == 1 || name == 2) && std::isalpha(static_cast<unsigned char>(word[name]));
}

std::optional<std::string> own_option_in(const std::string& word) {
  struct Own {
    const char* name;
    char letter;  // 0: it has none
    const char* instead;
  };
  constexpr const char* gpus = "write resources.gpus; where their type matters, --gres=gpu:h100:2";
  constexpr Own all[] = {
      {"job-name", 'J', "jobs are found by their name; write --comment for people"},
      {"array", 'a', "each submission is an array; write array_cap for tasks at a time"},
      {"requeue", 0, "jobs are started again at their time limit anyway"},
      {"no-requeue", 0,
       "jobs are started again at their time limit; max_stalled_timeouts ends that"},
      {"open-mode", 0, "a job that comes back appends to its output"},
      {"signal", 0, "write signal_before: seconds before the time limit"},
      {"dependency", 'd', "runs wait for their parents; write --begin to wait for a time"},
      {"nodes", 'N', "write resources.nodes"},
      {"ntasks", 'n', "write resources.ranks, or runs_per_node for runs that share a job"},
      {"cpus-per-task", 'c', "write resources.cpus, of one run"},
      {"gpus", 'G', gpus},
      {"gpus-per-node", 0, gpus},
      {"gpus-per-task", 0, gpus},
      {"gpus-per-socket", 0, gpus},
      {"chdir", 'D', "jobs begin in their submission's folder; write cd into setup"},
      {"output", 'o', "jobs print into their submission's folder, where people look for it"},
      {"export", 0, "write launch.slurm.environment: [NAME]"},
      {"clusters", 'M', "jobs are looked for on this cluster; call submit on the other one"},
      {"wait", 'W', "submit returns at once; metascale status --watch looks on"},
      {"test-only", 0, "write metascale submit --print"}};
  for (const Own& own : all)
    if (is_option(word, own.name, own.letter)) return own.instead;
  return std::nullopt;
}

bool is_time_limit(const std::string& word) { return is_option(word, "time", 't'); }

}  // namespace metascale
