// Messages over MPI.
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "core/communicator.hpp"
#include "core/communicator/exit_after.hpp"
#include "core/communicator/transport.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

constexpr int data_tag = 1;

int tag_of(Word word) { return data_tag + 1 + int(word); }

class MpiTransport final : public Transport {
 public:
  explicit MpiTransport(double timeout);

  const char* name() const override { return "mpi"; }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void begin(const std::vector<Message>& receive, const std::vector<Message>& send) override;
  bool is_done() override;
  std::vector<int> still_awaited() override;
  void tell(int peer, Word word, std::span<const std::byte> text) override;
  std::optional<Heard> hear() override;
  void leave() override { MPI_Finalize(); }  // waits for all ranks
  [[noreturn]] void abort(int code) override {
    MPI_Abort(MPI_COMM_WORLD, code);
    ::_exit(code);
  }

 private:
  void check(int status, const char* what) const;

  int rank_ = 0, size_ = 1;
  MPI_Comm data_ = MPI_COMM_NULL, control_ = MPI_COMM_NULL;
  std::vector<MPI_Request> requests_;
  std::vector<int> peers_;  // of each request
};

std::string this_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (const char* rank = std::getenv(name)) return concat("rank ", rank);
  return "a rank";
}

MpiTransport::MpiTransport(double timeout) {
  // A short time-out is for ranks that have begun: to begin takes a busy machine longer.
  const double limit = std::max(timeout, default_rank_timeout);
  std::optional<ExitAfter> watchdog(
      std::in_place, limit,
      concat(this_rank(), ": MPI did not start within ", limit,
             " s: another rank hangs, or was not started; look at the others' processes, or raise "
             "--rank-timeout"),
      ExitCode::unavailable);
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "starting");
  if (provided < MPI_THREAD_MULTIPLE)
    throw Error("this MPI was built without threads (MPI_THREAD_MULTIPLE), which ranks need",
                ExitCode::unavailable);
  check(MPI_Comm_dup(MPI_COMM_WORLD, &data_), "starting");
  check(MPI_Comm_dup(MPI_COMM_WORLD, &control_), "starting");
  for (const MPI_Comm comm : {MPI_COMM_WORLD, data_, control_})
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  watchdog.reset();
  MPI_Comm_rank(data_, &rank_);
  MPI_Comm_size(data_, &size_);
}

void MpiTransport::check(int status, const char* what) const {
  if (status == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(status, text.data(), &length);
  throw Error(concat("MPI failed in ", what, " on rank ", rank_, ": ", text.data()),
              ExitCode::run_failed);
}

void MpiTransport::begin(const std::vector<Message>& receive, const std::vector<Message>& send) {
  requests_.clear(), peers_.clear();
  const auto post = [&](const Message& message, auto&& start) {
    requests_.push_back(MPI_REQUEST_NULL);
    peers_.push_back(message.peer);
    check(start(message.data, int(message.bytes), MPI_BYTE, message.peer, data_tag, data_,
                &requests_.back()),
          "a message");
  };
  for (const Message& message : receive) post(message, MPI_Irecv);
  for (const Message& message : send) post(message, MPI_Isend);
}

bool MpiTransport::is_done() {
  int done = 0;
  check(MPI_Testall(int(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
        "a message");
  return done != 0;
}

std::vector<int> MpiTransport::still_awaited() {
  std::vector<int> awaited;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    int arrived = 0;
    check(MPI_Request_get_status(requests_[i], &arrived, MPI_STATUS_IGNORE), "a message");
    if (!arrived) awaited.push_back(peers_[i]);
  }
  return awaited;
}

// Buffered by MPI: it is short, and its receiver may be anywhere.
void MpiTransport::tell(int peer, Word word, std::span<const std::byte> text) {
  MPI_Request request;
  if (MPI_Isend(text.data(), int(text.size()), MPI_BYTE, peer, tag_of(word), control_, &request) ==
      MPI_SUCCESS)
    MPI_Request_free(&request);
}

std::optional<Heard> MpiTransport::hear() {
  for (const Word word : {Word::alive, Word::failed}) {
    int arrived = 0, bytes = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, tag_of(word), control_, &arrived, &status), "waiting");
    if (!arrived) continue;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    Heard heard{.peer = status.MPI_SOURCE,
                .word = word,
                .text = std::vector<std::byte>(std::size_t(bytes))};
    check(MPI_Recv(heard.text.data(), bytes, MPI_BYTE, heard.peer, tag_of(word), control_,
                   MPI_STATUS_IGNORE),
          "waiting");
    return heard;
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Transport> connect_mpi(double timeout) {
  return std::make_unique<MpiTransport>(timeout);
}

}  // namespace metascale
