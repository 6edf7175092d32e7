// A batch system that is known by its commands: what is noted of jobs, and what is made of answers.
#include <fmt/format.h>

#include <fstream>

#include "core/atomic_file.hpp"
#include "sweeps/scheduler.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

// Commands are shell scripts in a folder; $here is that.
class Commands {
 public:
  void write(const char* name, const std::string& text) const {
    const fs::path file = folder_.path / name;
    std::ofstream(file) << "#!/bin/sh\nhere=$(dirname \"$0\")\n" << text << "\n";
    chmod(file.c_str(), 0755);
  }
  TemplateLaunch launch(const std::string& hole = "{job}") const {
    return {.submit = words("submit", "{script}"),
            .state = words("state", hole),
            .cancel = words("cancel", "{job}")};
  }
  std::vector<std::string> words(const char* name, const std::string& hole) const {
    return {(folder_.path / name).string(), hole};
  }
  // Three tasks, of which so many were handed over.
  Submission submission(const TemplateLaunch& launch, int jobs = 0) const {
    Submission submission{.sweep = "s", .program = "/bin/metascale", .how = launch};
    submission.tasks = {{"a"}, {"b"}, {"c"}};
    create_submission(folder_.path, submission);
    for (int job = 1; job <= jobs; ++job) submission.jobs.push_back(fmt::format("{}.server", job));
    return submission;
  }
  // The words of the jobs, or the complaint.
  std::string states(const TemplateLaunch& launch) const {
    const Submission three = submission(launch, 3);
    std::string text;
    const auto states = make_template_scheduler(launch)->states({&three}, 10, text);
    if (!states) return text;
    for (const auto& [job, state] : *states) text += job + " " + state.word + "\n";
    return text;
  }
  std::string lines(const char* name) const {
    return fs::exists(folder_.path / name) ? read_file(folder_.path / name) : "";
  }
  const fs::path& path() const { return folder_.path; }

 private:
  Folder folder_;
};

}  // namespace

TEST_CASE("template: each job is noted before the next one is handed over") {
  const Commands commands;
  commands.write("submit",
                 "grep -c server \"$here/submissions/0001/submission.json\" >>\"$here/noted\"\n"
                 "echo $(wc -l <\"$here/noted\").server");
  const TemplateLaunch launch = commands.launch();
  Submission submission = commands.submission(launch);
  int jobs = 0;  // time for who hands over to say that it lives
  make_template_scheduler(launch)->submit(commands.path(), submission, [&] { ++jobs; });
  CHECK(jobs == 3);
  CHECK(commands.lines("noted") == "0\n1\n2\n");
  CHECK_FALSE(submission.is_in_doubt());
  CHECK(read_submission(submission_folder(commands.path(), 1)).jobs == submission.jobs);
}

TEST_CASE("template: a submit that refuses leaves no doubt, one that is cut off does") {
  const Commands commands;
  const auto after = [&](const char* text, bool can_find = false) {
    commands.write("submit", text);
    TemplateLaunch launch = commands.launch();
    if (can_find) launch.find = commands.words("find", "{name}");
    Submission submission = commands.submission(launch);
    CHECK_THROWS(make_template_scheduler(launch)->submit(commands.path(), submission, [] {}));
    return submission.is_in_doubt();
  };
  CHECK_FALSE(after("echo no such queue >&2; exit 1"));
  CHECK(after("echo no such queue >&2; exit 1", true));  // it is looked for
  CHECK(after("kill -9 $$"));
  CHECK(after("echo thank you"));  // which holds no id
}

TEST_CASE("template: a job whose number was lost is found by its name") {
  const Commands commands;
  commands.write("find", "[ \"$1\" = \"$(cat \"$here/name\")\" ] && echo 77.server; true");
  TemplateLaunch launch = commands.launch();
  launch.find = commands.words("find", "{name}");
  const Submission submission = commands.submission(launch, 1);
  const auto scheduler = make_template_scheduler(launch);
  CHECK(scheduler->finds_by_name());
  CHECK_FALSE(make_template_scheduler(commands.launch())->finds_by_name());
  std::ofstream(commands.path() / "name") << submission.name << ".1";  // the second task's
  CHECK(scheduler->find(submission) == std::vector<std::string>{"1.server", "77.server"});
  std::ofstream(commands.path() / "name") << "another";
  CHECK(scheduler->find(submission) == std::vector<std::string>{"1.server"});
  commands.write("find", "echo 77 | tr 7 x");
  CHECK_THROWS_WITH(scheduler->find(submission),
                    Contains("printed 'xx\n', in which launch.template.job ('" + launch.job +
                             "') finds no job; mend that pattern, or print nothing"));
  commands.write("find", "echo; echo ' '");
  CHECK(scheduler->find(submission) == std::vector<std::string>{"1.server"});
  commands.write("find", "echo cannot connect >&2; exit 111");
  CHECK_THROWS_WITH(scheduler->find(submission), Contains("cannot connect"));
}

TEST_CASE("template: a state command that reaches nobody is no answer, whatever it ends with") {
  const Commands commands;
  const auto states = [&](const char* text) {
    commands.write("state", text);
    return commands.states(commands.launch());
  };
  CHECK(states("[ $1 = 2.server ] && echo there") == "2.server there\n");
  CHECK_THAT(states("echo cannot connect to server >&2; exit 111"),
             Contains("exit code 111: cannot connect"));
  CHECK_THAT(states("[ $1 = 1.server ] && echo there || { echo timeout >&2; exit 1; }"),
             Contains("exit code 1: timeout"));  // of the second
  CHECK_THAT(states("kill -9 $$"), Contains("exit code 137"));
  for (const char* gone :
       {"qstat: Unknown Job Id 1.server", "qstat: 1.server Job has finished, use -x or -H",
        "Following jobs do not exist:\n1", "Job <1> is not found"})
    CHECK(states(fmt::format("echo '{}' >&2; exit 153", gone).c_str()) == "");
  TemplateLaunch other = commands.launch();
  other.gone = "kein Auftrag";
  commands.write("state", "echo kein Auftrag >&2; exit 1");
  CHECK(commands.states(other) == "");
  commands.write("state", "echo Unknown Job Id 1 >&2; exit 1");
  CHECK_THAT(commands.states(other), Contains("Unknown Job"));
}

TEST_CASE("template: a state command that takes several ids is called once for many") {
  const Commands commands;
  TemplateLaunch launch = commands.launch("{jobs}");
  launch.ended = "DONE|EXIT";
  const auto states = [&](const char* text) {
    commands.write("state", std::string("echo \"$@\" >>\"$here/calls\"\n") + text);
    return commands.states(launch);
  };
  CHECK(states("echo Job id  Name; echo; echo '1.serv x R'; echo '3.server y DONE'; echo '22 z'") ==
        "1.server there\n3.server ended\n");
  CHECK(commands.lines("calls") == "1.server 2.server 3.server\n");
  CHECK(states("echo 3.server; echo qstat: Unknown Job Id 1 >&2; exit 153") == "3.server there\n");
  CHECK_THAT(states("echo 3.server; printf 'Unknown Job Id 1\\ncannot connect\\n' >&2; exit 1"),
             Contains("cannot connect"));
  CHECK_THAT(states("echo 1.server R; kill -9 $$"), Contains("exit code 137"));
}
