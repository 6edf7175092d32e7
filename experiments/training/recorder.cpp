#include "experiments/training/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr auto sync_period = std::chrono::seconds(5);

std::optional<RunLog> existing_log(const fs::path& journal) {
  std::error_code error;
  const auto bytes = fs::file_size(journal, error);
  if (error || bytes == 0) return std::nullopt;
  return read_journal(journal);
}

std::int32_t attempts_in(const RunLog& log) {
  std::int32_t last = 0;
  for (const auto& event : log.events) last = std::max(last, event.attempt);
  for (const auto& row : log.steps) last = std::max(last, row.attempt);
  return last;
}

double now_utc() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Recorder::Recorder(fs::path run_folder, RunLog head, bool writes)
    : folder_(std::move(run_folder)), log_(std::move(head)) {
  if (!writes) return;
  journal_.emplace(folder_ / "journal.jsonl");
  found_ = existing_log(folder_ / "journal.jsonl");
  if (found_) attempt_ = attempts_in(*found_) + 1;
}

void Recorder::resume(std::int64_t step) {
  if (!journal_) return;
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
  journal_->resume(step, attempt_);
  std::erase_if(log_.steps, [&](const StepRow& row) { return row.step > step; });
  std::erase_if(log_.evaluations, [&](const Evaluation& row) { return row.step > step; });
}

void Recorder::append(const StepRow& row) {
  if (!journal_) return;
  journal_->append(row);
  log_.steps.push_back(row);
}

void Recorder::append(const Evaluation& evaluation) {
  if (!journal_) return;
  std::string segments_file;
  if (!evaluation.segments.empty()) {
    segments_file = fmt::format("evaluations/{}-step-{}.bin", evaluation.split, evaluation.step);
    fs::create_directories(folder_ / "evaluations");
    write_segments(folder_ / segments_file, evaluation);
  }
  journal_->append(evaluation, segments_file);
  log_.evaluations.push_back(evaluation);
  sync();
}

void Recorder::event(const std::string& kind, std::int64_t step, const std::string& message) {
  if (!journal_) return;
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
