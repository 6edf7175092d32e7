#include "data/files/child_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.hpp"

extern char** environ;

namespace metascale {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_;
};

class Actions {
 public:
  Actions() { ::posix_spawn_file_actions_init(&actions_); }
  ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// A started child; one that was not waited for is ended.
class Child {
 public:
  Child(const std::vector<std::string>& arguments, int output) {
    Actions actions;
    ::posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(actions.get(), output, 1);
    ::posix_spawn_file_actions_adddup2(actions.get(), output, 2);
    std::vector<char*> words;
    for (const std::string& argument : arguments)
      words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    const int error =
        ::posix_spawnp(&process_, words[0], actions.get(), nullptr, words.data(), environ);
    if (error == 0) return;
    process_ = -1;
    throw Error(concat("cannot run ", arguments[0], ": ", std::strerror(error),
                       "; install it or put it on PATH"),
                ExitCode::unavailable);
  }
  ~Child() {
    if (process_ < 0) return;
    ::kill(process_, SIGTERM);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int wait() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t process_ = -1;
};

void read_lines(int from, const std::function<void(const std::string&)>& line) {
  std::string pending;
  char block[4096];
  while (true) {
    const ssize_t count = ::read(from, block, sizeof block);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    pending.append(block, std::size_t(count));
    for (std::size_t end; (end = pending.find('\n')) != std::string::npos;
         pending.erase(0, end + 1))
      line(pending.substr(0, end));
  }
  if (!pending.empty()) line(pending);
}

}  // namespace

int run_program(const std::vector<std::string>& arguments,
                const std::function<void(const std::string&)>& line) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw Error(concat("cannot make a pipe: ", std::strerror(errno)), ExitCode::unavailable);
  const Descriptor from(ends[0]);
  Descriptor into(ends[1]);
  Child child(arguments, into.number());
  into.close();
  read_lines(from.number(), line);
  return child.wait();
}

}  // namespace metascale
