#include "sweeps/submit/grouping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "sweeps/scheduler.hpp"

namespace metascale {
namespace {

struct Group {
  JobResources resources;
  std::string behind;  // the group of its parents, or the array that these are in
  std::vector<const GroupedRun*> runs;
};

// Runs of equal resources whose parents are in one group, which comes before them.
std::vector<Group> groups_of(const std::vector<GroupedRun>& runs) {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> group_of;  // by run
  for (const GroupedRun& run : runs) {
    const JobResources resources = job_resources(run.run->resources);
    const auto parent = group_of.find(run.parent);
    const std::string behind = run.parent.empty()         ? ""
                               : parent != group_of.end() ? fmt::format("group {}", parent->second)
                                                          : "array " + run.behind;
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& other) {
      return other.resources == resources && other.behind == behind;
    });
    if (group == groups.end())
      group = groups.insert(group, {.resources = resources, .behind = behind, .runs = {}});
    group->runs.push_back(&run);
    group_of[run.run->config.id] = std::size_t(group - groups.begin());
  }
  return groups;
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
  for (const Group& group : groups_of(runs)) {
    common.resources = group.resources;
    check_resources(common);
    std::map<std::string, std::string> parent_of;
    std::vector<std::string> ids;
    for (const GroupedRun* run : group.runs) {
      ids.push_back(run->run->config.id);
      parent_of[ids.back()] = run->parent;
    }
    const auto packs = packed(ids, group.resources.runs);
    for (std::size_t begin = 0; begin < packs.size(); begin += most_tasks) {
      const std::size_t end = std::min(packs.size(), begin + most_tasks);
      submissions.push_back(common);
      submissions.back().tasks.assign(packs.begin() + std::ptrdiff_t(begin),
                                      packs.begin() + std::ptrdiff_t(end));
      std::set<std::string> parents;
      for (const auto& task : submissions.back().tasks)
        for (const std::string& run : task)
          if (!parent_of[run].empty()) parents.insert(parent_of[run]);
      submissions.back().parents.assign(parents.begin(), parents.end());
      if (auto* slurm = std::get_if<SlurmLaunch>(&submissions.back().how))
        slurm->array_cap = share_of_cap(slurm->array_cap, begin, end, packs.size());
    }
  }
  return submissions;
}

}  // namespace metascale
