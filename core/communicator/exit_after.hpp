// Ends this process where what it guards does not return, and cannot be told to.
#pragma once

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "core/error.hpp"

namespace metascale {

class ExitAfter {
 public:
  // why: said on stderr then, since nothing can be thrown into what hangs.
  ExitAfter(double seconds, std::string why, ExitCode code)
      : thread_([this, seconds, why = std::move(why), code] {
          std::unique_lock lock(mutex_);
          const std::chrono::duration<double> limit(seconds);
          if (returned_.wait_for(lock, limit, [this] { return has_returned_; })) return;
          std::fprintf(stderr, "metascale: %s\n", why.c_str());
          ::_exit(int(code));
        }) {}
  ~ExitAfter() {
    {
      const std::lock_guard lock(mutex_);
      has_returned_ = true;
    }
    returned_.notify_all();
    thread_.join();
  }
  ExitAfter(const ExitAfter&) = delete;
  ExitAfter& operator=(const ExitAfter&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable returned_;
  bool has_returned_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace metascale
