// What a person sees while a sweep runs: a bar per running run on a terminal, plain lines
// elsewhere.
#pragma once

#include <map>

#include "core/progress.hpp"
#include "sweeps/executor.hpp"
#include "sweeps/ledger.hpp"

namespace metascale {

// Draws with `progress`, which belongs to the caller. total: runs of the sweep.
class LiveView {
 public:
  LiveView(Progress& progress, const Ledger& ledger, std::size_t total);
  ExecutorEvents events();  // for the executor; this must outlive it

 private:
  void started(const Job& job, int attempt);
  void ended(const Job& job, int exit_code, const std::string& what_now);
  void tick();

  Progress& progress_;
  const Ledger& ledger_;
  std::size_t total_, done_ = 0;
  struct Shown {
    int bar = 0;
    bool is_running = false;
  };
  std::map<std::string, Shown> runs_;
  double last_read_ = 0;
};

}  // namespace metascale
