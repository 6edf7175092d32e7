// What a run writes while it goes: the journal (the truth), run.h5 (a snapshot of it) and
// evaluations.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "core/journal.hpp"

namespace metascale {

class Recorder {
 public:
  // Called before anything is written: throws where the folder is not this process's any more.
  // surely: asks the file system also if it was asked a moment ago.
  using ExpectOurs = std::function<void(bool surely)>;

  // head: run id, configuration, facts, environment. An existing journal is read and gone on with.
  // writes: false on the ranks that leave this to rank 0; theirs reads and writes nothing, and its
  // log stays empty.
  Recorder(std::filesystem::path run_folder, RunLog head, bool writes, ExpectOurs ask);

  // The run goes on from the checkpoint of this step (0: from the start); later rows are
  // superseded.
  void resume(std::int64_t step);
  // Within an attempt, the same: rows after the step are superseded.
  void roll_back(std::int64_t step);
  std::int32_t attempt() const { return attempt_; }
  const RunLog& log() const { return log_; }

  void append(const StepRow& row);
  void append(const Evaluation& evaluation);  // its segments go to a file of their own, first
  void event(const std::string& kind, std::int64_t step, const std::string& message);
  void set_facts(const std::map<std::string, std::string>& facts);
  void set_fact(const std::string& key, const std::string& value) { set_facts({{key, value}}); }

  void expect_ours() const;  // before files beside the log are replaced: throws as ExpectOurs does

  void sync();      // what was appended so far survives a crash
  void snapshot();  // writes run.h5
  // Syncs every few seconds, and writes run.h5 when that costs below 1 % of the time since it was
  // last written.
  void tick();

 private:
  void supersede_after(std::int64_t step);
  using Clock = std::chrono::steady_clock;
  std::filesystem::path folder_;
  ExpectOurs expect_ours_;
  // Before what is read of it: it cuts a torn last line, which may be all there is.
  std::optional<Journal> journal_;
  std::optional<RunLog> found_;
  RunLog log_;
  std::int32_t attempt_ = 1;
  Clock::time_point synced_ = Clock::now(), written_ = Clock::now();
  Clock::duration cost_ = std::chrono::milliseconds(20);  // of the last snapshot
};

}  // namespace metascale
