// What was handed to a batch system: results/<sweep>/submissions/0001/{submission.json, job.sh}.
// One folder each, made by mkdir(2) and written by rename: nothing is appended to from several
// machines. Everything needed to hand a part of it over once more is in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "sweeps/definition.hpp"

namespace metascale {

// Of one job: a task of an array, or a job of a system without arrays.
struct JobResources {
  std::int64_t gpus = 0, ranks = 1, nodes = 1, cpus = 1;  // of one run
  std::int64_t runs = 1;                                  // that share the job
  double time = 0;                                        // seconds; 0: the site's default
  std::string memory;                                     // of a node; empty: the site's default
  bool operator==(const JobResources&) const = default;
  double gpus_per_run() const { return gpus <= 1 ? double(gpus) / double(runs) : double(gpus); }
  double cores_per_run() const { return double(cpus); }
};

struct Submission {
  int number = 0;           // its folder's name
  std::string sweep, name;  // name: of the job, unique
  double time = 0;          // seconds since 1970: when it was written
  std::filesystem::path program;
  JobResources resources;
  std::variant<SlurmLaunch, TemplateLaunch> how;
  JobSettings job;
  std::int64_t retries = 1;
  std::vector<std::vector<std::string>> tasks;  // run ids of each task
  std::vector<std::string> parents;             // the runs that these wait for, each for its own
  std::string dependency;         // the jobs that the batch system waits for: "44", "44_3:45_0"
  std::vector<std::string> jobs;  // of each task; empty: it was not handed over (yet)
  bool abandoned = false;         // it never will be
  // The first task that `jobs` does not name may be in the queue: it was handed over just when we
  // were killed, or could not hear the answer.
  bool in_doubt = false;

  std::int64_t count_runs() const;
  bool is_in_doubt() const { return in_doubt && !abandoned && jobs.size() < tasks.size(); }
};

std::filesystem::path submissions_folder(const std::filesystem::path& sweep_folder);
std::filesystem::path submission_folder(const std::filesystem::path& sweep_folder, int number);
// In that folder, of one task or of the whole array. Written just before it is handed over.
std::string job_script_name(const Submission& submission, std::size_t task);

// Gives it a number and a name, and writes submission.json: in doubt until more is known. Throws
// Error{io}.
void create_submission(const std::filesystem::path& sweep_folder, Submission& submission);
void write_submission(const std::filesystem::path& sweep_folder, const Submission& submission);
// Throws Error{bad_input} with the file's name.
Submission read_submission(const std::filesystem::path& folder);
std::vector<Submission> read_submissions(const std::filesystem::path& sweep_folder);  // by number

// Where a run was handed over last.
struct TaskReference {
  const Submission* submission = nullptr;
  std::size_t task = 0;
  // "44_3"; empty where it was not handed over.
  std::string job() const;
};
std::map<std::string, TaskReference> newest_tasks(const std::vector<Submission>& submissions);

}  // namespace metascale
