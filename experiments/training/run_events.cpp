#include "experiments/training/run_events.hpp"

#include <fmt/format.h>

namespace metascale {

void RunEvents::tell(const std::string& kind, const std::string& message) {
  recorder_.event(kind, context_.state.step, message);
  on_message_(message.empty() ? kind : fmt::format("{}: {}", kind, message));
}

void RunEvents::mark(const std::string& kind, const std::string& what) {
  tell(kind, what);
  const auto& facts = recorder_.log().facts;
  const auto before = facts.find(kind);
  recorder_.set_fact(kind, before == facts.end() ? what : before->second + "; " + what);
}

// Sums are rounded otherwise from here on: whoever compares bits must see why.
void RunEvents::mark_changes(const TrainingState& start) {
  const TrainingState& now = context_.state;
  if (start.ranks != now.ranks)
    mark("ranks_changed",
         fmt::format("{} -> {} ranks, micro-batch {} -> {} after step {}", start.ranks, now.ranks,
                     start.micro_batch, now.micro_batch, start.step));
  if (!start.processor.empty() && start.processor != now.processor)
    mark("processor_changed", fmt::format("{} -> {} after step {}; last bits may differ",
                                          start.processor, now.processor, start.step));
}

void RunEvents::begin_usage() {
  facts_before_ = recorder_.log().facts;
  used_before_ = context_.usage();
  log_usage();
  joules_.reset();  // nothing is counted before the first checkpoint
}

void RunEvents::log_usage() {
  if (const std::string drawn = context_.samples_drawn(); !drawn.empty())
    recorder_.set_fact("samples_drawn", drawn);
  const Usage now = context_.usage();
  recorder_.set_facts(usage_facts(facts_before_, recorder_.attempt() == 1, used_before_, now));
  joules_ = joules_between(used_before_, now);
}

}  // namespace metascale
