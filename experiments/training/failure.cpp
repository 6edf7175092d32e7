#include "experiments/training/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "core/run_lease.hpp"
#include "experiments/trainer.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

bool has_last_word(const Communicator& ranks, const Error& failure) {
  const auto* loss = dynamic_cast<const RankLost*>(&failure);
  int first = 0;
  while (loss && std::find(loss->ranks.begin(), loss->ranks.end(), first) != loss->ranks.end())
    ++first;
  return first == ranks.rank();
}

// body, which throws nothing but Error (and what is no std::exception).
ExitCode or_error(const std::function<ExitCode()>& body) {
  try {
    return body();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Error("out of memory; lower training.micro_batch, or set training.recompute: block",
                ExitCode::run_failed);
  } catch (const fs::filesystem_error& error) {
    throw Error(error.what(), ExitCode::io);
  } catch (const std::exception& error) {
    throw Error(fmt::format("internal error: {}", error.what()));
  }
}

}  // namespace

void mark_failed(const fs::path& run_folder, const std::string& why, int rank) {
  try {
    std::optional<RunLease> lease;
    if (rank == 0) lease.emplace(run_folder);
    write_file_atomically(run_folder / "FAILED", why + "\n");
    Heartbeat heartbeat = read_heartbeat(run_folder).value_or(Heartbeat{});
    heartbeat.phase = RunPhase::failed;
    heartbeat.message = why;
    heartbeat.joules.reset();  // they may be of an earlier attempt
    heartbeat.time = 0;        // now
    write_heartbeat(run_folder, heartbeat);
  } catch (const std::exception&) {  // a full disk: the first failure is the one to tell
  }
}

ExitCode or_failed(const fs::path& run_folder, const Communicator& ranks,
                   const std::function<ExitCode()>& body) {
  try {
    return or_error(body);
  } catch (const Error& failure) {
    if (failure.code != ExitCode::unavailable && has_last_word(ranks, failure))
      mark_failed(run_folder, failure.what(), ranks.rank());
    throw;
  }
}

}  // namespace metascale
