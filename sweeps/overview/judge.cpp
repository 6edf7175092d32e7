#include "sweeps/overview/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/run_lease.hpp"
#include "core/units.hpp"

namespace metascale {
namespace {

// A job that runs while its run says nothing for so long is taken for dead: its lease has expired.
constexpr double dead_seconds = 2 * heartbeat_timeout;
// Before a job starts a run again it may wait until a foreign lease is stale; else it does so at
// once.
constexpr double longest_pause = RunLease::default_stale_seconds + 60;
// From a start to the first word: setup may copy data, modules, a container or a large checkpoint
// may take their time, but not for ever.
constexpr double longest_start = 2 * 3600;

std::string waiting_words(const RunOverview& run, const JobState& job) {
  static const std::set<std::string> usual{"", "Priority", "Resources", "None"};
  std::string text = run.step > 0 ? fmt::format("goes on at step {}", run.step) : "";
  if (!usual.contains(job.reason)) text += (text.empty() ? "" : "; ") + job.reason;
  return text;
}

// All durations are differences by one clock each: of the file server, or of this machine against
// the batch system's controller, which munge keeps within five minutes.
class Judgement {
 public:
  Judgement(const RunOverview& run, const Traces& traces, const JobState& job)
      : run_(run), traces_(traces), job_(job) {}

  // In this start of its job.
  bool has_spoken() const {
    return run_.status.phase() == RunPhase::running && !traces_.has_yet_to_speak &&
           !(job_.seconds && run_.status.silent_seconds > *job_.seconds);
  }
  // The job that has it found that it must wait for its parent, and does no more for it.
  bool has_given_up_waiting() const {
    return !traces_.has_yet_to_speak && run_.status.phase() == RunPhase::pending &&
           run_.status.reason.starts_with(waits_for_parent);
  }
  bool is_suspended() const { return job_.word == "SUSPENDED" || job_.word == "STOPPED"; }

  // Why its job is taken for doing nothing for it any more; empty: it does, or may.
  std::string why_lost() const {
    if (job_.phase != JobPhase::running && job_.word != "there") return "";
    const std::string what = what_is_wrong();
    if (what.empty()) return "";
    return fmt::format("its job {}, but {}", job_.phase == JobPhase::running ? "runs" : "is there",
                       what);
  }

 private:
  // Without the time in which its job was suspended, which may have been before: judged rather too
  // late than too early.
  double awake(double seconds) const { return std::max(0.0, seconds - job_.suspended_seconds); }

  // Its last attempt failed in this start of the job, and left no mark (exit code 69).
  bool has_given_up() const {
    const auto& attempt = traces_.attempt;
    return attempt && attempt->end == AttemptEnd::failed &&
           !(job_.seconds && attempt->seconds > *job_.seconds) &&
           awake(attempt->seconds) > longest_pause;
  }

  // Since the newest of what could have led to a word: the job's start, and that or the end of an
  // attempt. 0: it is not known whether a job that is there has begun.
  double seconds_starting() const {
    const auto& attempt = traces_.attempt;
    const bool tells = attempt && (job_.seconds || attempt->end == AttemptEnd::running);
    if (!tells) return job_.seconds.value_or(0);
    return std::min(attempt->seconds, job_.seconds.value_or(attempt->seconds));
  }

  std::string what_is_wrong() const {
    const double silent = awake(run_.status.silent_seconds), starting = awake(seconds_starting());
    if (has_spoken())
      return silent > dead_seconds ? "it has said nothing for " + format_duration(silent) : "";
    if (has_given_up())
      return fmt::format("its last attempt ended with exit code {}, {} ago, and none follows",
                         traces_.attempt->exit_code, format_duration(traces_.attempt->seconds));
    return starting > longest_start ? fmt::format("it was started {} ago, and has not said a word",
                                                  format_duration(starting))
                                    : "";
  }

  const RunOverview& run_;
  const Traces& traces_;
  const JobState& job_;
};

// The batch system has a job for it, or had one that it still knows.
void judge_by_job(RunOverview& run, const Traces& traces, const JobState& job) {
  const Judgement judgement(run, traces, job);
  if (!job.node.empty()) run.node = job.node;
  if (job.phase == JobPhase::ended) {
    if (job.word == "TIMEOUT")
      run.word = "timed_out";
    else if (job.word == "CANCELLED")
      run.word = "cancelled";
    else if (run.status.phase() == RunPhase::running)
      run.word = "lost";
    if (run.message.empty())
      run.message = fmt::format("its job ended: {} {}", job.word, job.reason);
    return;
  }
  if (judgement.has_given_up_waiting()) {
    run.word = name_of(RunPhase::pending);
    return;
  }
  if (judgement.is_suspended()) {
    run.word = "running";
    run.message = "its job is suspended";
    return;
  }
  if (const std::string why = judgement.why_lost(); !why.empty()) {
    run.word = "lost";
    run.message = why;
    return;
  }
  if (job.word == "there") {  // a batch system that does not say which
    run.word = judgement.has_spoken() ? "running" : "queued";
    return;
  }
  if (job.phase == JobPhase::queued) {
    run.word = "queued";
    run.message = waiting_words(run, job);
    return;
  }
  run.word = "running";
  if (!judgement.has_spoken()) run.message = "starting";
}

}  // namespace

void judge(RunOverview& run, const Traces& traces, bool has_answer) {
  const RunPhase phase = run.status.phase();
  if (phase == RunPhase::done || phase == RunPhase::failed || phase == RunPhase::cancelled) return;
  if (run.in_queue) return judge_by_job(run, traces, *run.in_queue);
  // What was handed over and has not begun is where it was; of the others their files know more.
  const bool has_begun = phase != RunPhase::pending || run.status.attempts > 0;
  if (has_answer || run.job.empty() || has_begun) return;
  run.word = "queued";
  run.message = "as last known";
}

}  // namespace metascale
