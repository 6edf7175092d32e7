#include "sweeps/executor/command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/error.hpp"

extern char** environ;

namespace metascale {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_output = 64u << 20;
constexpr std::size_t longest_complaint = 300;

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_, O_CLOEXEC) != 0)
      throw Error(fmt::format("cannot make a pipe: {}; raise the limit of open files",
                              std::strerror(errno)),
                  ExitCode::unavailable);
  }
  ~Pipe() { close_write(), close(ends_[0]); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_write() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

// How the child starts: its own signals and folder, its output in our pipes.
class Start {
 public:
  Start(const CommandOptions& options, const Pipe& output, const Pipe& error) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output.write_end(), 1);
    posix_spawn_file_actions_adddup2(&actions_, error.write_end(), 2);
    if (!options.folder.empty())
      posix_spawn_file_actions_addchdir_np(&actions_, options.folder.c_str());
    posix_spawnattr_init(&attributes_);
    sigset_t none, stops;
    sigemptyset(&none);
    sigemptyset(&stops);
    sigaddset(&stops, SIGUSR2);  // a job's script ignores it until the program asks for it
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &stops);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~Start() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Start(const Start&) = delete;
  Start& operator=(const Start&) = delete;

  int spawn(pid_t& process, std::vector<std::string> words) const {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    return posix_spawnp(&process, arguments[0], &actions_, &attributes_, arguments.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Returns false at the end of the pipe.
bool take(int descriptor, std::string& text) {
  char piece[1 << 16];
  const ssize_t count = read(descriptor, piece, sizeof piece);
  if (count < 0) return errno == EINTR;
  if (text.size() < most_output) text.append(piece, std::size_t(count));
  return count > 0;
}

// Until both pipes end or time is up. Returns whether they ended.
bool collect(const Pipe& output, const Pipe& error, CommandResult& result, Clock::time_point end) {
  pollfd ends[] = {{.fd = output.read_end(), .events = POLLIN},
                   {.fd = error.read_end(), .events = POLLIN}};
  std::string* texts[] = {&result.output, &result.error};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return false;
    if (poll(ends, 2, int(left.count())) < 0 && errno != EINTR) return false;
    for (int i = 0; i < 2; ++i)
      if (ends[i].fd >= 0 && ends[i].revents && !take(ends[i].fd, *texts[i])) ends[i].fd = -1;
  }
  return true;
}

int wait_for(pid_t process, Clock::time_point end, bool& timed_out) {
  int status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(process, &status, WNOHANG)) == 0 && !timed_out) {
    if (Clock::now() > end) timed_out = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (ended == 0) {
    kill(process, SIGKILL);
    waitpid(process, &status, 0);
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

std::string CommandResult::complaint() const {
  if (timed_out) return "no answer in time";
  std::string text = (error.empty() ? output : error).substr(0, longest_complaint);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return fmt::format("exit code {}{}{}", exit_code, text.empty() ? "" : ": ", text);
}

CommandResult run_command(const std::vector<std::string>& words, const CommandOptions& options) {
  CommandResult result;
  Pipe output, error;
  pid_t process = 0;
  const int failure = Start(options, output, error).spawn(process, words);
  if (failure != 0) {
    result.exit_code = 127;
    result.error = fmt::format("{}: {}", words.front(), std::strerror(failure));
    return result;
  }
  output.close_write(), error.close_write();
  const auto end = Clock::now() + std::chrono::microseconds(std::int64_t(1e6 * options.seconds));
  result.timed_out = !collect(output, error, result, end);
  result.exit_code = wait_for(process, end, result.timed_out);
  return result;
}

}  // namespace metascale
