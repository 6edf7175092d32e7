#include "sweeps/executor/record.hpp"

#include <algorithm>

#include "core/heartbeat.hpp"

namespace metascale {
namespace {

constexpr double renewal_seconds = 20;

}  // namespace

AttemptRecord::AttemptRecord(std::filesystem::path run_folder, const AttemptFacts& facts,
                             double cores)
    : run_(std::move(run_folder)) {
  const std::int64_t checkpoint = newest_checkpoint(run_);
  std::vector<Attempt> before = read_attempts(run_);
  close_last(run_, before);
  const double now = seconds_since_1970();
  attempt_ = {.number = new_attempt(run_),
              .job = facts.job,
              .node = facts.node,
              .started = now,
              .seen = now,
              .limit = facts.deadline > 0 ? std::max(1.0, facts.deadline - now) : 0,
              .first_checkpoint = checkpoint,
              .cores = facts.cores > 0 ? facts.cores : cores,
              .gpus = facts.gpus};
  write_attempt(run_, attempt_);
}

void AttemptRecord::renew() {
  const double now = seconds_since_1970();
  if (now - attempt_.seen < renewal_seconds) return;
  attempt_.seen = now;
  take_energy();
  write_attempt(run_, attempt_);
}

void AttemptRecord::finish(AttemptEnd end, int exit_code) {
  attempt_.end = end;
  attempt_.exit_code = exit_code;
  attempt_.seen = seconds_since_1970();
  attempt_.last_checkpoint = newest_checkpoint(run_);
  take_energy();
  write_attempt(run_, attempt_);
}

void AttemptRecord::take_energy() {
  if (const auto word = read_heartbeat(run_)) attempt_.take_energy(*word);
}

}  // namespace metascale
