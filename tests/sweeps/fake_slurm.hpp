// sbatch, squeue, scancel and scontrol as shell scripts that come first on PATH: a queue is a file.
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>

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
          "for i in $(seq 0 $last); do echo \"$n|$i|PENDING||None|0:00|$name\"; done "
          ">>\"$here/queue\"\n"
          "echo $n\n");
    write("squeue", "[ -n \"$SQUEUE_PARTITION\" ] || cat \"$here/queue\" 2>/dev/null; true\n");
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
  // All jobs run, so long as squeue would write it: "1:05:00".
  void starts_all(const std::string& time) const {
    std::istringstream lines(text("queue"));
    std::string after;
    for (std::string line; std::getline(lines, line);) {
      const std::size_t element = line.find('|', line.find('|') + 1);
      after += line.substr(0, element) + "|RUNNING|n1|None|" + time + line.substr(line.rfind('|')) +
               "\n";
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
  std::string text(const char* name) const {
    std::ostringstream all;
    if (std::ifstream file(folder_.path() / name); file) all << file.rdbuf();
    return all.str();
  }
  testing::TemporaryFolder folder_;
  Variable path_{"PATH", folder_.path().string() + ":" + std::getenv("PATH")};
};

}  // namespace metascale
