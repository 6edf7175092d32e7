// sbatch, squeue, scancel and scontrol as shell scripts that come first on PATH: a queue is a file.
#pragma once

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include "core/heartbeat.hpp"
#include "tests/support/temporary_folder.hpp"

namespace metascale {

// A variable of the environment, until the end of the block.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (before_)
      setenv(name_, before_->c_str(), 1);
    else
      unsetenv(name_);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// Its arrays are 41, 42 ... Names are those that the real ones would take: an argument goes before
// the environment; and an answer is filtered by the variables of squeue.
class FakeSlurm {
 public:
  FakeSlurm() {
    write("sbatch",
          "n=$(($(cat \"$here/count\" 2>/dev/null || echo 40) + 1)); echo $n >\"$here/count\"\n"
          "echo \"$@\" >>\"$here/called\"; env | grep '^SBATCH_' >>\"$here/called\"\n"
          "name=$SBATCH_JOB_NAME array=$SBATCH_ARRAY_INX\n"
          "for word in \"$@\"; do case $word in\n"
          "  --job-name=*) name=${word#*=} ;;\n"
          "  --array=*) array=${word#*=} ;;\n"
          "esac; done\n"
          "last=${array#0-}; last=${last%%[%]*}\n"
          "for i in $(seq 0 $last); do echo \"$n|$i|PENDING||None|0:00|N/A|$name\"; done "
          ">>\"$here/queue\"\n"
          "echo $n\n");
    write("squeue",
          "[ \"$SLURM_TIME_FORMAT\" = %s ] || exit 1\n"
          "[ -n \"$SQUEUE_PARTITION\" ] || cat \"$here/queue\" 2>/dev/null; true\n");
    write("scancel",
          "for job in \"$@\"; do\n"
          "  echo \"$job\" >>\"$here/cancelled\"\n"
          "  sed -i \"/^${job%_*}|${job#*_}|/d\" \"$here/queue\"\n"
          "done\n");
    write("scontrol",
          "[ \"$1\" = requeue ] || exit 0\n"
          "echo \"$2\" >>\"$here/requeued\"\n"
          "[ -e \"$here/busy\" ] || exit 0\n"
          "rm \"$here/busy\"; echo 'Unable to contact slurm controller' >&2; exit 1\n");
  }
  // All jobs run, or are what `word` says, having used so many seconds since they were started, and
  // been suspended for others.
  void starts_all(long used, long suspended = 0, const char* word = "RUNNING") const {
    const long started = long(seconds_since_1970()) - used - suspended;
    const std::string times = fmt::format("{}|{}", time_used(used), started);
    std::istringstream lines(text("queue"));
    std::string after;
    for (std::string line; std::getline(lines, line);) {
      const std::size_t element = line.find('|', line.find('|') + 1);
      after += fmt::format("{}|{}|n1|None|{}{}\n", line.substr(0, element), word, times,
                           line.substr(line.rfind('|')));
    }
    std::ofstream(folder_.path() / "queue") << after;
  }
  void forgets_all() const { std::filesystem::remove(folder_.path() / "queue"); }
  void is_busy_once() const { std::ofstream(folder_.path() / "busy") << "\n"; }
  std::string called() const { return text("called"); }        // sbatch, and its variables
  std::string cancelled() const { return text("cancelled"); }  // a job a line
  std::string requeued() const { return text("requeued"); }

 private:
  void write(const char* name, const std::string& script) const {
    const auto file = folder_.path() / name;
    std::ofstream(file) << "#!/bin/bash\nhere=$(dirname \"$0\")\n" << script;
    chmod(file.c_str(), 0755);
  }
  // "0:05", "4:00:00", "1-00:15:00".
  static std::string time_used(long seconds) {
    const std::string rest = fmt::format("{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    if (seconds < 3600) return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
    if (seconds < 86400) return fmt::format("{}:{}", seconds / 3600, rest);
    return fmt::format("{}-{:02}:{}", seconds / 86400, seconds / 3600 % 24, rest);
  }
  std::string text(const char* name) const {
    std::ostringstream all;
    if (std::ifstream file(folder_.path() / name); file) all << file.rdbuf();
    return all.str();
  }
  testing::TemporaryFolder folder_;
  Variable path_{"PATH", folder_.path().string() + ":" + std::getenv("PATH")};
};

}  // namespace metascale
