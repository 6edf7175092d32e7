// What a run tells beside its steps and evaluations: events, facts that grow with them, what it
// takes of its machine.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "experiments/run_context.hpp"
#include "experiments/training/recorder.hpp"

namespace metascale {

class RunEvents {
 public:
  // on_message: who watches the run hears of each event.
  RunEvents(Recorder& recorder, RunContext& context,
            const std::function<void(const std::string&)>& on_message)
      : recorder_(recorder), context_(context), on_message_(on_message) {}

  // An event of the step that the run is at.
  void tell(const std::string& kind, const std::string& message);
  // The same, and a fact that grows with every such event of the run.
  void mark(const std::string& kind, const std::string& what);
  // Where this attempt goes on otherwise than the checkpoint it starts from: ranks, processor.
  void mark_changes(const TrainingState& start);

  // Of this attempt, from here on [experiments/training/usage.hpp]. Called by all ranks, as the
  // next one.
  void begin_usage();
  // What the run took so far, of its machine and of its data. At every checkpoint, so that of a run
  // that is killed only what came after its last one is missing.
  void log_usage();
  // That this attempt was counted to use so far, as logged last.
  std::optional<double> joules() const { return joules_; }

 private:
  Recorder& recorder_;
  RunContext& context_;
  const std::function<void(const std::string&)>& on_message_;
  std::map<std::string, std::string> facts_before_;  // when this attempt began
  Usage used_before_;
  std::optional<double> joules_;
};

}  // namespace metascale
