#include "core/communicator.hpp"

#include <cstdlib>
#include <cstring>

#include "core/communicator/messages.hpp"

namespace metascale {
namespace {

int number_in(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : 0;
}

// Tasks of the step that srun started; 1 outside of one (the batch script has SLURM_PROCID too).
int tasks_of_step() {
  return std::getenv("SLURM_STEP_ID") ? std::max(1, number_in("SLURM_STEP_NUM_TASKS")) : 1;
}

}  // namespace

std::unique_ptr<Communicator> connect_ranks(double timeout) {
  if (auto sockets = connect_sockets())
    return make_message_communicator(std::move(sockets), timeout);
  const bool has_launcher = number_in("OMPI_COMM_WORLD_SIZE") > 0 || std::getenv("PMIX_RANK");
  if (!has_launcher && tasks_of_step() == 1) return std::make_unique<SingleCommunicator>();
  auto ranks = make_message_communicator(connect_mpi(timeout), timeout);
  if (tasks_of_step() > 1 && ranks->size() == 1)
    throw Error(
        concat(
            "srun started ", tasks_of_step(),
            " tasks that MPI does not know as ranks of one run; start them with: srun --mpi=pmix"),
        ExitCode::unavailable);
  return ranks;
}

std::int64_t greatest(Communicator& ranks, std::int64_t value) {
  double number = double(value);
  ranks.all_reduce({.data = &number, .shape = {1}, .dtype = Dtype::f64}, Reduction::max);
  ranks.wait();
  return std::int64_t(number);
}

std::string broadcast_text(Communicator& ranks, const std::string& text, int root) {
  const bool sends = ranks.rank() == root;
  const auto bytes = std::size_t(greatest(ranks, sends ? std::int64_t(text.size()) : 0));
  std::vector<std::int32_t> words((bytes + 3) / 4);
  if (bytes == 0) return {};  // on every rank
  if (sends) std::memcpy(words.data(), text.data(), bytes);
  ranks.broadcast(
      {.data = words.data(), .shape = {std::int64_t(words.size())}, .dtype = Dtype::i32}, root);
  ranks.wait();
  std::string result(bytes, '\0');
  std::memcpy(result.data(), words.data(), bytes);
  return result;
}

}  // namespace metascale
