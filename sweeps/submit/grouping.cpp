#include "sweeps/submit/grouping.hpp"

#include <algorithm>
#include <set>

#include "sweeps/scheduler.hpp"

namespace metascale {
namespace {

struct Group {
  JobResources resources;
  std::string parent;
  std::vector<std::string> runs;
};

std::vector<Group> groups_of(const std::vector<GroupedRun>& runs) {
  std::vector<Group> groups;
  for (const auto& [run, parent] : runs) {
    const JobResources resources = job_resources(run->resources);
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& other) {
      return other.resources == resources && other.parent == parent;
    });
    if (group == groups.end())
      group = groups.insert(groups.end(), {.resources = resources, .parent = parent, .runs = {}});
    group->runs.push_back(run->config.id);
  }
  return groups;
}

// A child's group can name its parent's job only once that is known.
std::vector<Group> parents_first(std::vector<Group> groups) {
  std::vector<Group> ordered;
  std::set<std::string> waiting;
  for (const Group& group : groups) waiting.insert(group.runs.begin(), group.runs.end());
  while (!groups.empty()) {
    auto ready = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& group) { return !waiting.contains(group.parent); });
    if (ready == groups.end()) ready = groups.begin();  // a circle cannot be: ids hash their parent
    for (const std::string& run : ready->runs) waiting.erase(run);
    ordered.push_back(std::move(*ready));
    groups.erase(ready);
  }
  return ordered;
}

// Its share of the cap where Slurm's MaxArraySize makes one array several; at least 1.
std::int64_t share_of_cap(std::int64_t cap, std::size_t begin, std::size_t end, std::size_t all) {
  const auto up_to = [&](std::size_t tasks) {
    return cap * std::int64_t(tasks) / std::int64_t(all);
  };
  return cap == 0 ? 0 : std::max<std::int64_t>(1, up_to(end) - up_to(begin));
}

}  // namespace

JobResources job_resources(const ResourceSettings& settings) {
  JobResources resources{.gpus = settings.gpus.value_or(0)};
  resources.ranks = settings.ranks.value_or(std::max<std::int64_t>(1, resources.gpus));
  resources.nodes = settings.nodes.value_or(1);
  resources.cpus = settings.cpus.value_or(resources.ranks);
  resources.runs =
      (resources.gpus > 0 ? settings.runs_per_gpu : settings.runs_per_node).value_or(1);
  resources.time = settings.time.value_or(0);
  resources.memory = settings.memory.value_or("");
  return resources;
}

std::vector<std::vector<std::string>> packed(const std::vector<std::string>& runs,
                                             std::int64_t size) {
  std::vector<std::vector<std::string>> packs;
  for (const std::string& run : runs) {
    if (packs.empty() || std::int64_t(packs.back().size()) == size) packs.emplace_back();
    packs.back().push_back(run);
  }
  return packs;
}

std::vector<Submission> grouped(const Definition& definition, const std::vector<GroupedRun>& runs,
                                std::size_t most_tasks, const std::filesystem::path& program) {
  Submission common;
  common.sweep = definition.name;
  common.program = program;
  common.job = definition.launch.job;
  common.retries = definition.policy.retries;
  if (const auto* slurm = std::get_if<SlurmLaunch>(&definition.launch.how)) common.how = *slurm;
  if (const auto* other = std::get_if<TemplateLaunch>(&definition.launch.how)) common.how = *other;
  std::vector<Submission> submissions;
  for (const Group& group : parents_first(groups_of(runs))) {
    common.resources = group.resources;
    common.parent = group.parent;
    check_resources(common);
    const auto packs = packed(group.runs, group.resources.runs);
    for (std::size_t begin = 0; begin < packs.size(); begin += most_tasks) {
      const std::size_t end = std::min(packs.size(), begin + most_tasks);
      submissions.push_back(common);
      submissions.back().tasks.assign(packs.begin() + std::ptrdiff_t(begin),
                                      packs.begin() + std::ptrdiff_t(end));
      if (auto* slurm = std::get_if<SlurmLaunch>(&submissions.back().how))
        slurm->array_cap = share_of_cap(slurm->array_cap, begin, end, packs.size());
    }
  }
  return submissions;
}

}  // namespace metascale
