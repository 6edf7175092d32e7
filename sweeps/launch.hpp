// What a job of a batch system does: `metascale launch <submission> <task>`. It runs the task's
// runs, sees to it that they save in time, asks for a new start where they are not done, and hands
// over the runs that waited for one of them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "core/error.hpp"

namespace metascale {

struct LaunchOptions {
  std::filesystem::path program;  // the metascale to start
  double job_seconds = 0;         // for which the job has run: the site's setup
  // The signal that asked to stop: SIGTERM, SIGUSR2 or SIGINT; 0: none did. Asked several times a
  // second.
  std::function<int()> stop_signal = [] { return 0; };
  std::function<void(const std::string&)> say = [](const std::string&) {};  // a line for the log
};

// When (seconds since 1970) a job that ends at `deadline` gives up waiting for runs that it asked
// to save signal_before seconds before: what is left is for asking to be started again. 0: never.
double last_moment(double deadline, double signal_before);

// How long (seconds) a job that has so many left waits for another process that hands over runs of
// its sweep: until the lease of one that died is stale, and it may say in time that it gave up.
double patience(double seconds_left);

// submission: results/<sweep>/submissions/<number>. Runs that are done, failed or cancelled are
// left alone; one whose parent is not done says so in its state.json and waits.
// Any USR2 of Slurm, another system's near the time limit, or a TERM at it, is a time-out: the runs
// save, and the job is asked to be started again, unless a run had its most stalled time-outs in a
// row; it has then FAILED. So it is asked where a run over several nodes ended badly, as many times
// in a row as it has retries. A run that was handed over again after this submission is left to the
// newer one. A run that has not saved by last_moment() is killed, which is a time-out without a
// checkpoint. Any other stop is a preemption, a requeue or a cancellation: the batch system knows
// what follows. Returns good, run_failed, saved or interrupted. Throws Error{usage} for a task that
// is not there.
ExitCode launch_task(const std::filesystem::path& submission, std::size_t task,
                     const LaunchOptions& options);

}  // namespace metascale
