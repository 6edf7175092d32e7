#include "cli/signals.hpp"

#include <csignal>

namespace metascale {
namespace {

volatile std::sig_atomic_t caught = 0;

void remember(int signal) {
  if (caught == SIGINT && signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  caught = signal;
}

}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = remember;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGTERM, SIGUSR2, SIGINT}) sigaction(signal, &action, nullptr);
}

StopRequest stop_request() {
  if (caught == 0) return StopRequest::none;
  return caught == SIGINT ? StopRequest::interrupt : StopRequest::save;
}

}  // namespace metascale
