// Keeps attempts/0001/attempt.json of a run that is being run.
#pragma once

#include <filesystem>

#include "sweeps/attempt.hpp"
#include "sweeps/executor.hpp"

namespace metascale {

class AttemptRecord {
 public:
  // Makes the next attempt's folder and says that it runs; gives the one before an end, if nobody
  // saw it. Throws Error{io}.
  AttemptRecord(std::filesystem::path run_folder, const AttemptFacts& facts, double cores);

  int number() const { return attempt_.number; }
  std::filesystem::path folder() const { return attempt_folder(run_, attempt_.number); }
  void renew();  // says now and then that we live
  void finish(AttemptEnd end, int exit_code);

 private:
  void take_energy();
  std::filesystem::path run_;
  Attempt attempt_;
};

}  // namespace metascale
