#include "data/probes.hpp"

#include <fmt/format.h>

#include <array>

#include "core/error.hpp"
#include "core/yaml.hpp"
#include "data/probes/groups.hpp"
#include "data/probes/tasks.hpp"

namespace metascale {
namespace {

struct Row {
  ProbeTask task;
  const char* name;
  const probes::Kind& kind;
};
const Row rows[] = {{ProbeTask::z60, "z60", probes::word_problem},
                    {ProbeTask::a4xz5, "a4xz5", probes::word_problem},
                    {ProbeTask::a5, "a5", probes::word_problem},
                    {ProbeTask::s3, "s3", probes::word_problem},
                    {ProbeTask::s5, "s5", probes::word_problem},
                    {ProbeTask::s5_swaps, "s5_swaps", probes::transpositions},
                    {ProbeTask::parity, "parity", probes::counting},
                    {ProbeTask::modular_counting, "modular_counting", probes::counting},
                    {ProbeTask::mqar, "mqar", probes::associative_recall},
                    {ProbeTask::copying, "copying", probes::plain_copying},
                    {ProbeTask::selective_copying, "selective_copying", probes::selective_copying},
                    {ProbeTask::dyck, "dyck", probes::nested_brackets},
                    {ProbeTask::needle, "needle", probes::needle_retrieval}};

constexpr ProbeParameter parameters[] = {{"modulus", &ProbeConfig::modulus, 2, 1000},
                                         {"vocabulary", &ProbeConfig::vocabulary, 8, 1 << 20},
                                         {"pairs", &ProbeConfig::pairs, 1, 1 << 16},
                                         {"symbols", &ProbeConfig::symbols, 2, 1 << 16},
                                         {"items", &ProbeConfig::items, 1, 1 << 16},
                                         {"brackets", &ProbeConfig::brackets, 1, 1 << 16},
                                         {"depth", &ProbeConfig::depth, 1, 1 << 16}};

const Row& row_of(ProbeTask task) {
  for (const Row& row : rows)
    if (row.task == task) return row;
  throw Error("a probe needs a task", ExitCode::usage);
}

std::vector<std::int32_t> products_of(ProbeTask task) {
  using namespace probes;
  switch (task) {
    case ProbeTask::z60: return cyclic_group(60).products;
    case ProbeTask::a4xz5:
      return direct_product(permutation_group(4, Parity::even), cyclic_group(5)).products;
    case ProbeTask::a5: return permutation_group(5, Parity::even).products;
    case ProbeTask::s3: return permutation_group(3, Parity::any).products;
    case ProbeTask::s5: return permutation_group(5, Parity::any).products;
    default: return {};
  }
}

}  // namespace

const char* name_of(ProbeTask task) { return task == ProbeTask::none ? "none" : row_of(task).name; }

std::span<const ProbeTask> probe_tasks() {
  static const auto tasks = [] {
    std::array<ProbeTask, std::size(rows)> all;
    for (std::size_t i = 0; i < std::size(rows); ++i) all[i] = rows[i].task;
    return all;
  }();
  return tasks;
}

std::span<const ProbeParameter> probe_parameters() { return parameters; }

bool takes(ProbeTask task, const std::string& parameter) {
  if (task == ProbeTask::none || (task == ProbeTask::parity && parameter == "modulus"))
    return false;
  return std::string(row_of(task).kind.parameters).find(" " + parameter + " ") != std::string::npos;
}

Probe::Probe(const ProbeConfig& config) : config_(config), products_(products_of(config.task)) {
  for (const ProbeParameter& row : parameters)
    if (const std::int64_t value = config.*row.member; value < row.least || value > row.most)
      throw Error(fmt::format("probe.{}: {} is not in {} .. {}; write a number between them",
                              row.name, value, row.least, row.most),
                  ExitCode::usage);
  if (!(config.power > 0 && config.power <= 10))
    throw Error(
        fmt::format("probe.power: {} is not in (0, 10]; write 0.01 as published", config.power),
        ExitCode::usage);
}

std::int64_t Probe::vocabulary() const { return row_of(config_.task).kind.vocabulary(config_); }
std::int64_t Probe::answers() const { return row_of(config_.task).kind.answers(config_); }
std::int64_t Probe::scored(std::int64_t length) const {
  return row_of(config_.task).kind.scored(config_, length);
}

void Probe::check_length(std::int64_t length) const {
  std::string problem = row_of(config_.task).kind.problem(config_, length);
  if (length < 1) problem = "an example has at least one token; write a length of 1 or more";
  if (!problem.empty())
    throw Error(fmt::format("probe {}: {}", name_of(config_.task), problem), ExitCode::usage);
}

ProbeExample Probe::example(std::int64_t length, std::uint64_t seed, std::uint64_t index) const {
  check_length(length);
  probes::Random random(seed, index);
  probes::Draft draft(length);
  row_of(config_.task).kind.make({config_, products_, length}, random, draft);
  return draft.take();
}

std::string Probe::identity() const {
  std::string text = fmt::format("task={}", name_of(config_.task));
  for (const ProbeParameter& row : parameters)
    if (takes(config_.task, row.name)) text += fmt::format(" {}={}", row.name, config_.*row.member);
  if (takes(config_.task, "power"))
    text += fmt::format(" power={} filler={}", yaml_number(config_.power),
                        config_.filler == ProbeFiller::zeros ? "zeros" : "random");
  return text;
}

}  // namespace metascale
