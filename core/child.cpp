#include "core/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/file.hpp"

extern char** environ;

namespace metascale {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> merged_environment(const std::vector<std::string>& over) {
  std::vector<std::string> all = over;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry, name = text.substr(0, text.find('=') + 1);
    bool replaced = false;
    for (const std::string& own : over) replaced = replaced || own.starts_with(name);
    if (!replaced) all.push_back(text);
  }
  return all;
}

struct Prepared {  // all that the child needs: between fork and exec nothing may allocate
  const char* program;
  char* const* arguments;
  char* const* environment;
  int output, input, report;  // output -1: ours
  cpu_set_t cores;
  bool has_cores;
  const std::vector<int>* descriptors;
  pid_t parent;
};

[[noreturn]] void become(const Prepared& to) {
  setpgid(0, 0);  // Ctrl-C on the terminal reaches it through the executor only
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != to.parent) _exit(1);  // the parent ended before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (to.has_cores) sched_setaffinity(0, sizeof(to.cores), &to.cores);
  dup2(to.input, 0);
  if (to.output >= 0) dup2(to.output, 1), dup2(to.output, 2);
  for (const int descriptor : *to.descriptors) fcntl(descriptor, F_SETFD, 0);
  execvpe(to.program, to.arguments, to.environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(to.report, &error, sizeof error);
  _exit(127);
}

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Whether the pipe says something, or is closed, within that time.
bool has_word(int pipe, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::milliseconds(std::int64_t(1e3 * seconds));
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd asked{.fd = pipe, .events = POLLIN, .revents = 0};
    const int answer = ::poll(&asked, 1, int(std::max<std::int64_t>(0, left.count())));
    if (answer < 0 && errno == EINTR) continue;
    return answer > 0;
  }
}

}  // namespace

Child::Child(const ChildCommand& command) {
  std::vector<std::string> words{command.program.string()};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<std::string> variables = merged_environment(command.environment);
  const std::vector<char*> arguments = pointers(words), environment = pointers(variables);
  const File output = command.output.empty()
                          ? File()
                          : File(command.output, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW);
  const File input("/dev/null", O_RDONLY);
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0)
    throw Error(
        concat("cannot make a pipe: ", std::strerror(errno), "; raise the limit of open files"),
        ExitCode::unavailable);
  Prepared prepared{.program = words[0].c_str(),
                    .arguments = arguments.data(),
                    .environment = environment.data(),
                    .output = output.descriptor(),
                    .input = input.descriptor(),
                    .report = report[1],
                    .has_cores = !command.cores.empty(),
                    .descriptors = &command.descriptors,
                    .parent = getpid()};
  CPU_ZERO(&prepared.cores);
  for (const int core : command.cores) CPU_SET(std::size_t(core), &prepared.cores);
  process_ = fork();
  if (process_ == 0) become(prepared);
  const int fork_error = errno;
  close(report[1]);
  if (process_ > 0 && !has_word(report[0], command.start_seconds)) {
    close(report[0]);
    const pid_t process = process_;
    end();
    throw NotStarted(
        concat("process ", process, " did not become ", command.program.string(), " within ",
               command.start_seconds, " s, and was killed; look at that file's disk, or try again"),
        ExitCode::unavailable);
  }
  int error = 0;
  const bool has_failed = process_ < 0 || read(report[0], &error, sizeof error) == sizeof error;
  close(report[0]);
  if (!has_failed) return;
  if (process_ > 0) waitpid(std::exchange(process_, -1), nullptr, 0);
  throw Error(concat(command.program.string(),
                     ": cannot start this program: ", std::strerror(error ? error : fork_error),
                     "; check that it is there and may be executed"),
              ExitCode::unavailable);
}

Child::~Child() { end(); }

Child::Child(Child&& other) noexcept
    : process_(std::exchange(other.process_, -1)),
      code_(std::exchange(other.code_, std::nullopt)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    end();
    process_ = std::exchange(other.process_, -1);
    code_ = std::exchange(other.code_, std::nullopt);
  }
  return *this;
}

std::optional<int> Child::poll() {
  int status = 0;
  if (process_ > 0 && waitpid(process_, &status, WNOHANG) == process_) {
    process_ = -1;
    code_ = code_of(status);
  }
  return code_;
}

void Child::send(int signal) {
  if (process_ > 0) kill(process_, signal);
}

void Child::kill_group() {
  if (process_ > 0) kill(-process_, SIGKILL);
}

void Child::end() {
  if (process_ <= 0) return;
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  process_ = -1;
}

}  // namespace metascale
