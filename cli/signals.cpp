#include "cli/signals.hpp"

#include <signal.h>
#include <time.h>

namespace metascale {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGUSR2, SIGINT}) sigaddset(&set, signal);
  return set;
}

// The next INT ends the program, wherever it is.
void let_interrupts_through() {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
}

}  // namespace

void catch_stop_signals() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);  // threads made from now on inherit it
}

void release_stop_signals() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

int stop_signal() {
  static int asked = 0;  // one per process, as its signals are
  const sigset_t set = stop_signals();
  const timespec at_once{};
  const int signal = sigtimedwait(&set, nullptr, &at_once);  // -1: there is none
  if (signal == SIGINT) let_interrupts_through();
  if (signal > 0) asked = signal;
  return asked;
}

StopRequest stop_request() {
  const int signal = stop_signal();
  if (signal == 0) return StopRequest::none;
  return signal == SIGINT ? StopRequest::interrupt : StopRequest::save;
}

}  // namespace metascale
