#include "core/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

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
      throw Error(
          concat("cannot make a pipe: ", std::strerror(errno), "; raise the limit of open files"),
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

bool is_left_out(const std::string& variable, const std::vector<std::string>& without) {
  const std::string name = variable.substr(0, variable.find('='));
  return std::any_of(without.begin(), without.end(), [&](const std::string& wanted) {
    return wanted.ends_with('*') ? name.starts_with(wanted.substr(0, wanted.size() - 1))
                                 : name == wanted;
  });
}

// How the child starts: its own signals, folder and variables, its output in our pipes.
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
    sigaddset(&stops, SIGXFSZ);  // we ignore it; what we start may not expect that
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

  // Returns 0, or what errno would say.
  int spawn(pid_t& process, std::vector<std::string> words,
            const std::vector<std::string>& without) const {
    std::vector<char*> arguments, variables;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    for (char** variable = environ; *variable; ++variable)
      if (!is_left_out(*variable, without)) variables.push_back(*variable);
    variables.push_back(nullptr);
    return posix_spawnp(&process, arguments[0], &actions_, &attributes_, arguments.data(),
                        variables.data());
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Returns false at the end of the pipe.
bool take(int descriptor, std::string& text) {
  char piece[1 << 16];
  const ssize_t count = read(descriptor, piece, sizeof piece);
  if (count <= 0) return count < 0 && errno == EINTR;
  if (text.size() < most_output) text.append(piece, std::size_t(count));
  return true;
}

// Hands on what is whole of text, and keeps the rest.
void hand_on_lines(std::string& text, const std::function<void(const std::string&)>& line) {
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
    line(text.substr(begin, end - begin));
  text.erase(0, begin);
}

struct Source {
  int descriptor;
  std::string* text;
};

// Until all pipes end or time is up. Returns whether they ended.
bool collect(std::vector<Source> sources, const CommandOptions& options, Clock::time_point end) {
  while (!sources.empty()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return false;
    std::vector<pollfd> waits;
    for (const Source& source : sources)
      waits.push_back({.fd = source.descriptor, .events = POLLIN});
    const int longest = int(std::min<std::int64_t>(left.count(), 60'000));
    if (poll(waits.data(), waits.size(), longest) < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    for (std::size_t i = sources.size(); i-- > 0;) {
      if (!waits[i].revents) continue;
      const bool goes_on = take(sources[i].descriptor, *sources[i].text);
      if (options.line) hand_on_lines(*sources[i].text, options.line);
      if (!goes_on) sources.erase(sources.begin() + std::ptrdiff_t(i));
    }
  }
  return true;
}

// A started child; one that was not waited for is ended.
class Started {
 public:
  explicit Started(pid_t process) : process_(process) {}
  ~Started() {
    if (process_ > 0) end(SIGTERM);
  }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;

  int wait(Clock::time_point limit, bool& timed_out) {
    int status = 0;
    while (!timed_out && waitpid(process_, &status, WNOHANG) == 0) {
      timed_out = Clock::now() > limit;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (timed_out) status = end(SIGKILL);
    process_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  int end(int signal) {
    int status = 0;
    kill(process_, signal);
    while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }
  pid_t process_;
};

}  // namespace

std::string CommandResult::complaint() const {
  if (timed_out) return "no answer in time";
  std::string text = (error.empty() ? output : error).substr(0, longest_complaint);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return concat("exit code ", exit_code, text.empty() ? "" : ": ", text);
}

CommandResult run_command(const std::vector<std::string>& words, const CommandOptions& options) {
  CommandResult result;
  const bool joined = options.joined || options.line;
  Pipe output, error;
  pid_t process = 0;
  const int failure =
      Start(options, output, joined ? output : error).spawn(process, words, options.without);
  if (failure != 0) {
    result.exit_code = 127;
    result.found = false;
    result.error = concat(words.front(), ": ", std::strerror(failure));
    return result;
  }
  Started child(process);
  output.close_write(), error.close_write();
  // A time that no clock reaches would overflow it.
  const double seconds = std::min(options.seconds, 1e8);
  const auto end = Clock::now() + std::chrono::microseconds(std::int64_t(1e6 * seconds));
  result.timed_out = !collect(
      {{output.read_end(), &result.output}, {error.read_end(), &result.error}}, options, end);
  if (options.line && !result.output.empty())
    options.line(std::exchange(result.output, {}));  // a last line without its end
  result.exit_code = child.wait(end, result.timed_out);
  return result;
}

}  // namespace metascale
