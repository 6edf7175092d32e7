#include "sweeps/live_view.hpp"

#include <fmt/format.h>

namespace metascale {
namespace {

constexpr double seconds_between_reads = 0.5;  // of the runs' state.json

}  // namespace

LiveView::LiveView(Progress& progress, const Ledger& ledger, std::size_t total)
    : progress_(progress), ledger_(ledger), total_(total) {}

ExecutorEvents LiveView::events() {
  return {.started = [this](const Job& job, int attempt,
                            const std::vector<int>&) { started(job, attempt); },
          .ended = [this](const Job& job, int code,
                          const std::string& what_now) { ended(job, code, what_now); },
          .tick = [this] { tick(); }};
}

void LiveView::started(const Job& job, int attempt) {
  Shown& shown = runs_[job.id];
  shown = {.bar = progress_.add(job.id), .is_running = true};
  progress_.update(shown.bar, 0, attempt > 1 ? fmt::format("attempt {}", attempt) : "starting");
}

void LiveView::ended(const Job& job, int exit_code, const std::string& what_now) {
  Shown& shown = runs_[job.id];
  shown.is_running = false;
  const RunStatus status = ledger_.status(job.id);
  const bool is_done = exit_code == 0 && status.phase() == RunPhase::done;
  done_ += is_done;
  const std::string numbers = status_text(status);
  progress_.finish(shown.bar,
                   fmt::format("{}{}{} ({} of {} done)", what_now, numbers.empty() ? "" : ", ",
                               numbers, done_, total_),
                   is_done ? BarEnd::complete : BarEnd::early);
}

void LiveView::tick() {
  const double now = seconds_since_1970();
  if (now - last_read_ < seconds_between_reads) return;
  last_read_ = now;
  for (const auto& [id, shown] : runs_) {
    if (!shown.is_running) continue;
    const RunStatus status = ledger_.status(id);
    if (status.last.steps <= 0) continue;
    progress_.update(shown.bar, double(status.last.step) / double(status.last.steps),
                     status_text(status));
  }
}

}  // namespace metascale
