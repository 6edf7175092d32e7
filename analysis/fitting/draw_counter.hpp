// Progress of the draws of a bootstrap, of which several threads do some each.
#pragma once

#include <functional>
#include <mutex>

namespace metascale {

class DrawCounter {
 public:
  // progress: called by one thread at a time, with what is done of how many; may be empty.
  DrawCounter(const std::function<void(int done, int of)>& progress, int of)
      : progress_(progress), of_(of) {}

  void count() {
    if (!progress_) return;
    const std::scoped_lock lock(mutex_);
    progress_(++done_, of_);
  }

 private:
  const std::function<void(int done, int of)>& progress_;
  int of_, done_ = 0;
  std::mutex mutex_;
};

}  // namespace metascale
