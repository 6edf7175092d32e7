// A batch system: what we ask of it. What it says comes second: the truth is in the run folders.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sweeps/submission.hpp"

namespace metascale {

enum class JobPhase { queued, running, ended };

struct JobState {
  JobPhase phase = JobPhase::queued;
  std::string word;    // the batch system's own: PENDING, TIMEOUT ...
  std::string reason;  // and why; empty: none
  std::string node;
  // Since it was started last, and for how many of these it was suspended; nothing where the batch
  // system does not say so.
  std::optional<double> seconds;
  double suspended_seconds = 0;
};

// By job: "44_3". A job that the batch system does not know (any more) is not in it.
using JobStates = std::map<std::string, JobState>;

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // Writes the scripts into the submission's folder and hands them over; fills submission.jobs, and
  // notes each in the folder where there is one call for each. Throws Error{unavailable} with the
  // batch system's own words; submission.jobs then holds what was handed over before, and in_doubt
  // says whether the next one was, perhaps. goes_on is called after each call of the batch system,
  // which may take it long.
  virtual void submit(const std::filesystem::path& sweep_folder, Submission& submission,
                      const std::function<void()>& goes_on) = 0;
  // What submit would hand over: command lines and scripts, for people.
  virtual std::string scripts(const std::filesystem::path& sweep_folder,
                              const Submission& submission) = 0;
  // The jobs of these submissions. Nothing where the batch system does not answer within so many
  // seconds; complaint then says how.
  virtual std::optional<JobStates> states(const std::vector<const Submission*>& submissions,
                                          double seconds, std::string& complaint) = 0;
  // The jobs of a submission that is in doubt: those that it names, and what is found in the queue
  // by its unique name. Throws Error{unavailable}.
  virtual std::vector<std::string> find(const Submission& submission) = 0;
  virtual bool finds_by_name() { return true; }
  // Throws Error{unavailable}.
  virtual void cancel(const std::vector<std::string>& jobs) = 0;
  // Asks it to start this job, which runs, once more. Returns a complaint, empty where it will.
  virtual std::string requeue(const std::string& job) = 0;
  virtual std::size_t most_tasks() = 0;  // of one submission
};

std::unique_ptr<Scheduler> make_slurm_scheduler();
std::unique_ptr<Scheduler> make_template_scheduler(const TemplateLaunch& commands);
// Of a launch or of a submission. Throws Error{usage} at `place` for a local launch.
std::unique_ptr<Scheduler> scheduler_of(const LaunchDefinition& launch);
std::unique_ptr<Scheduler> scheduler_of(const Submission& submission);

// Why resources contradict each other: of which key, what is wrong and what would be right.
struct Contradiction {
  const char* key;
  std::string wrong, right;
};
std::optional<Contradiction> contradiction_in(const JobResources& resources,
                                              const JobSettings& job);
// Throws Error{usage} where there is one.
void check_resources(const Submission& submission);

}  // namespace metascale
