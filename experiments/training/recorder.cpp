#include "experiments/training/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/error.hpp"
#include "core/file.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr auto sync_period = std::chrono::seconds(5);

std::optional<RunLog> existing_log(const fs::path& journal, std::int32_t* begun) {
  std::error_code error;
  const auto bytes = fs::file_size(journal, error);
  if (error || bytes == 0) return std::nullopt;
  return read_journal(journal, begun);
}

// One more than any that the journal names: rows of lower ones would be left out of the log.
std::int32_t next_attempt(const fs::path& journal, const RunLog& log, std::int32_t begun) {
  std::int32_t last = begun;
  for (const auto& event : log.events) last = std::max(last, event.attempt);
  for (const auto& row : log.steps) last = std::max(last, row.attempt);
  if (last == std::numeric_limits<std::int32_t>::max())
    throw Error(
        fmt::format("{}: names attempt {}, after which none can come: it was not written by "
                    "metascale; put the run's folder back from a copy",
                    journal.string(), last),
        ExitCode::bad_input);
  return last + 1;
}

double now_utc() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Recorder::Recorder(fs::path run_folder, RunLog head, bool writes, ExpectOurs ask)
    : folder_(std::move(run_folder)), expect_ours_(std::move(ask)), log_(std::move(head)) {
  if (!writes) return;
  refuse_link(folder_ / "evaluations");  // now, and not after the first hour
  expect_ours();
  const fs::path path = folder_ / "journal.jsonl";
  journal_.emplace(path);
  std::int32_t begun = 0;
  found_ = existing_log(path, &begun);
  if (found_) attempt_ = next_attempt(path, *found_, begun);
  journal_->begin(attempt_);
}

void Recorder::expect_ours() const {
  if (expect_ours_) expect_ours_(true);
}

void Recorder::resume(std::int64_t step) {
  if (!journal_) return;
  expect_ours();
  if (found_ && !found_->steps.empty() && found_->steps.back().step < step)
    throw Error(fmt::format("{}: holds steps up to {}, but the newest checkpoint is of step {}: it "
                            "was copied in part; copy it again, or remove the newer checkpoints",
                            (folder_ / "journal.jsonl").string(), found_->steps.back().step, step),
                ExitCode::bad_input);
  if (found_) log_.facts.merge(found_->facts);  // those that earlier attempts found out
  journal_->header(log_);
  if (found_) {
    log_.steps = std::move(found_->steps);
    log_.evaluations = std::move(found_->evaluations);
    log_.events = std::move(found_->events);
    found_.reset();
    supersede_after(step);
  }
}

void Recorder::roll_back(std::int64_t step) {
  if (journal_) supersede_after(step);
}

void Recorder::supersede_after(std::int64_t step) {
  expect_ours();
  journal_->resume(step, attempt_);
  std::erase_if(log_.steps, [&](const StepRow& row) { return row.step > step; });
  std::erase_if(log_.evaluations, [&](const Evaluation& row) { return row.step > step; });
}

void Recorder::append(const StepRow& row) {
  if (!journal_) return;
  if (expect_ours_) expect_ours_(false);
  journal_->append(row);
  log_.steps.push_back(row);
}

void Recorder::append(const Evaluation& evaluation) {
  if (!journal_) return;
  expect_ours();
  std::string segments_file;
  if (!evaluation.segments.empty()) {
    segments_file = fmt::format("evaluations/{}-step-{}.bin", evaluation.split, evaluation.step);
    make_own_folder(folder_ / "evaluations");
    write_segments(folder_ / segments_file, evaluation);
  }
  journal_->append(evaluation, segments_file);
  log_.evaluations.push_back(evaluation);
  sync();
}

void Recorder::event(const std::string& kind, std::int64_t step, const std::string& message) {
  if (!journal_) return;
  if (expect_ours_) expect_ours_(false);
  const Event event{
      .time = now_utc(), .step = step, .attempt = attempt_, .kind = kind, .message = message};
  journal_->append(event);
  log_.events.push_back(event);
}

void Recorder::set_facts(const std::map<std::string, std::string>& facts) {
  if (!journal_) return;
  auto all = log_.facts;
  for (const auto& [key, value] : facts) all[key] = value;
  if (all == log_.facts) return;
  expect_ours();
  log_.facts = std::move(all);
  journal_->header(log_);
}

void Recorder::sync() {
  if (!journal_) return;
  journal_->sync();
  synced_ = Clock::now();
}

void Recorder::snapshot() {
  if (!journal_) return;
  expect_ours();  // or else a log that lacks another's rows would stand for the run
  const auto start = Clock::now();
  write_run_file(folder_ / "run.h5", log_);
  written_ = Clock::now();
  cost_ = written_ - start;
}

void Recorder::tick() {
  if (Clock::now() - synced_ > sync_period) sync();
  if (Clock::now() - written_ > 100 * cost_) snapshot();
}

}  // namespace metascale
