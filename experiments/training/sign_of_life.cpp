#include "experiments/training/sign_of_life.hpp"

namespace metascale {
namespace {

constexpr double heartbeat_seconds = 1;  // so that a person sees it move
constexpr double lease_seconds = 20;

}  // namespace

SignOfLife::SignOfLife(const std::filesystem::path& run_folder, bool writes) : folder_(run_folder) {
  if (writes) lease_.emplace(run_folder);
}

bool SignOfLife::is_due() const { return since_last_.seconds() > heartbeat_seconds; }

void SignOfLife::give(const Heartbeat& heartbeat) {
  since_last_.restart();
  if (!lease_) return;
  if (since_renewal_.seconds() > lease_seconds) {
    lease_->renew();
    since_renewal_.restart();
  }
  write_heartbeat(folder_, heartbeat);
}

}  // namespace metascale
