#include "experiments/training/sign_of_life.hpp"

#include <time.h>

namespace metascale {
namespace {

constexpr double heartbeat_seconds = 1;  // so that a person sees it move

// Unlike a stopwatch's, this clock goes on while the machine is suspended: others' do, too.
double seconds_since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

}  // namespace

SignOfLife::SignOfLife(const std::filesystem::path& run_folder, bool writes, double renewal_seconds)
    : folder_(run_folder), renewal_seconds_(renewal_seconds), renewed_(seconds_since_boot()) {
  if (writes) lease_.emplace(run_folder);
}

void SignOfLife::expect_ours(bool surely) {
  if (!lease_) return;
  const double now = seconds_since_boot();
  if (!surely && now - renewed_ < renewal_seconds_) return;
  lease_->renew();
  renewed_ = now;
}

bool SignOfLife::is_due() const { return since_last_.seconds() > heartbeat_seconds; }

void SignOfLife::give(const Heartbeat& heartbeat) {
  since_last_.restart();
  if (!lease_) return;
  expect_ours(false);
  write_heartbeat(folder_, heartbeat);
}

}  // namespace metascale
