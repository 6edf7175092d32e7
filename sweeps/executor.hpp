// Who starts the runs of a sweep. A job is a run folder; starting it is `metascale train <folder>`,
// and how it ended is its exit code and what it left in the folder.
#pragma once

#include <signal.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "sweeps/definition.hpp"

namespace metascale {

struct Job {
  std::string id;
  std::filesystem::path folder;
  std::string parent;      // another job's id: this one starts when that is done
  std::int64_t ranks = 1;  // that `metascale train` is to start; they share the slot's cores
};

enum class Stop {
  none,
  terminate,  // TERM or USR2
  interrupt,  // INT
  time_limit  // the batch system's, which comes soon
};
enum class Outcome {
  done,
  failed,   // its retries are used up
  blocked,  // its parent has not been done
  cancelled,
  lost,    // it is for another start of the job to try again [leaves_retries]
  saved,   // stopped with a checkpoint
  waiting  // never started: somebody stopped the sweep before
};
const char* name_of(Outcome outcome);

struct JobResult {
  std::string id;
  Outcome outcome = Outcome::waiting;
  int exit_code = 0;    // of its last attempt; 128 + n where signal n ended it
  std::string message;  // why it failed, and where its log is
};

struct Execution {
  std::vector<JobResult> results;  // in the order of the jobs
  std::vector<std::string> notes;  // what a person must know besides: runs that wait, and why
  Stop stopped = Stop::none;
  // good; run_failed where a run failed; saved or interrupted where somebody stopped it; saved
  // where one is lost.
  ExitCode exit_code() const;
};

// What the executor tells while it works; each may be empty.
struct ExecutorEvents {
  std::function<void(const Job&, int attempt, const std::vector<int>& cores)> started;
  std::function<void(const Job&, int exit_code, const std::string& what_now)> ended;  // an attempt
  std::function<void()> tick;  // several times a second
};

enum class Pinning {
  own_cores,  // each run keeps to cores of its own
  none        // the batch system has done so, or cannot tell which
};

// What is recorded of each start besides [sweeps/attempt.hpp].
struct AttemptFacts {
  std::string job, node;  // of the batch system
  double deadline = 0;    // seconds since 1970, when its job is ended; 0: never
  double gpus = 0;        // of one run
  double cores = 0;       // of one run; 0: as many as it has threads
};

struct ExecutorOptions {
  std::filesystem::path program;        // the metascale to start
  std::vector<std::string> launcher;    // words before it: srun, a container's
  std::int64_t slots = 0, threads = 0;  // runs at a time, threads of each; 0: auto
  // After exit codes 1, 3, 69 and crashes. Not counted: one wait for a lease that a process on
  // another machine may have left behind.
  std::int64_t retries = 1;
  // Of runs over several nodes, one of which may be gone: instead such ends, and codes that are
  // none of ours, are Outcome::lost, and leave no FAILED.
  bool leaves_retries = false;
  OnFailure on_failure = OnFailure::keep_going;
  std::function<Stop()> stop = [] { return Stop::none; };  // asked several times a second
  int stop_signal = SIGTERM;                               // what runs are then sent
  // Seconds since 1970: a run that was asked before then to stop for the time limit, and still runs
  // then, is killed; 0: never.
  double last_moment = 0;
  // Whether somebody cancelled this run alone; asked every second, and before it starts.
  std::function<bool(const Job&)> is_cancelled = [](const Job&) { return false; };
  Pinning pinning = Pinning::own_cores;
  AttemptFacts facts;
  ExecutorEvents events;
};

class Executor {
 public:
  virtual ~Executor() = default;
  // Runs the jobs, parents before children. A failing one does not end the others, unless
  // on_failure says so. Throws Error{unavailable} where the program cannot be started at all.
  virtual Execution run(const std::vector<Job>& jobs) = 0;
};

// Child processes on this machine, each pinned to cores of its own.
std::unique_ptr<Executor> make_local_executor(ExecutorOptions options);
// Starts nothing: tells events.started for each job in the order in which it would.
std::unique_ptr<Executor> make_dry_run_executor(ExecutorEvents events);

// How the cores of this process are shared out.
struct SlotPlan {
  std::int64_t threads = 1;
  std::vector<std::vector<int>> slots;  // cores of each slot
};
// slots and threads: 0 is auto. One thread per run uses cores best; with fewer runs than cores,
// each gets more. Throws Error{usage} where slots x threads exceed the cores.
SlotPlan plan_slots(const std::vector<int>& cores, std::int64_t slots, std::int64_t threads,
                    std::size_t jobs);
std::vector<int> available_cores();  // that this process may use
SlotPlan unpinned_slots(std::int64_t slots, std::int64_t threads);

}  // namespace metascale
