// Conformance of the communicators of the host: run as one process (single) and by mpirun (mpi).
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "core/communicator/fold.hpp"
#include "tests/ranks/communicator_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

struct Host {
  static Communicator& ranks() {
    const char* timeout = std::getenv("METASCALE_TEST_RANK_TIMEOUT");  // seconds
    static const std::unique_ptr<Communicator> all =
        connect_ranks(timeout ? std::atof(timeout) : 20);
    return *all;
  }
  class Memory {
   public:
    explicit Memory(std::size_t bytes) : bytes_(bytes) {}
    void* data() const { return const_cast<std::byte*>(bytes_.data()); }
    void write(const void* source) { std::memcpy(bytes_.data(), source, bytes_.size()); }
    void read(void* target) const { std::memcpy(target, bytes_.data(), bytes_.size()); }

   private:
    std::vector<std::byte> bytes_;
  };
};

// One element, fewer than ranks, uneven, and more than fits in one message.
std::int64_t any_size() { return GENERATE(1, 2, 3, 16, 1000, 300'007, (1 << 21) + 5); }

TEST_CASE("all_reduce sums over the ranks, in every dtype") {
  const std::int64_t count = any_size();
  CAPTURE(count);
  all_reduce_sums<Host, float>(count);
  all_reduce_sums<Host, double>(count);
  all_reduce_sums<Host, bfloat16>(count);
  all_reduce_sums<Host, std::int32_t>(count);
}

TEST_CASE("every rank gets the same bits of a sum") {
  every_rank_has_the_same_bits<Host>(any_size());
}

TEST_CASE("max takes the greatest") { max_takes_the_greatest<Host>(); }

TEST_CASE("reduce_scatter followed by all_gather is all_reduce") {
  reduce_scatter_then_all_gather_is_all_reduce<Host>(any_size());
}

TEST_CASE("all_gather moves every rank's part, bit by bit") {
  all_gather_moves_bits<Host>(any_size());
}

TEST_CASE("broadcast comes from its root") {
  broadcast_comes_from_its_root<Host>(GENERATE(0, 1, 3));
}

TEST_CASE("operations are done in the order in which they were begun") {
  operations_are_done_in_the_order_they_were_begun<Host>();
}

// ---- what communicators of the host promise beyond that

TEST_CASE("a sum is that of the ranks in their order in f64, rounded once") {
  Communicator& ranks = Host::ranks();
  RankValues<Host, float> values(terms_of<float>(ranks.rank(), 5000));
  ranks.all_reduce(values.tensor(), Reduction::sum);
  ranks.wait();
  const auto& found = values.read();
  for (std::int64_t i = 0; i < 5000; ++i)
    REQUIRE(found[std::size_t(i)] == float(exact_sum<float>(ranks.size(), i)));
}

TEST_CASE("a rank that comes late changes no bit") {
  Communicator& ranks = Host::ranks();
  std::vector<float> first;
  for (int late = 0; late < ranks.size(); ++late) {
    RankValues<Host, float> values(terms_of<float>(ranks.rank(), 3000));
    if (late == ranks.rank()) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    ranks.all_reduce(values.tensor(), Reduction::sum);
    ranks.wait();
    if (late == 0) first = values.read();
    REQUIRE((values.read() == first));
  }
}

TEST_CASE("the others wait beyond their time-out for a rank that says it lives", "[.patience]") {
  Communicator& ranks = Host::ranks();
  bool worked = false;
  if (ranks.rank() == 0)
    ranks.keep_others_waiting([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(2500));
      worked = true;
    });
  CHECK(greatest(ranks, worked) == 1);
}

TEST_CASE("ranks that all watch lose nobody, however long they do", "[.patience]") {
  Communicator& ranks = Host::ranks();
  const auto start = std::chrono::steady_clock::now();
  for (double waited = 0; waited < 2.5; waited = ranks.watch(start))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(greatest(ranks, 1) == 1);
}

TEST_CASE("work that others wait for may fail without them") {
  Communicator& ranks = Host::ranks();
  if (ranks.rank() == 0)
    CHECK_THROWS_AS(ranks.keep_others_waiting([] { throw Error("a full disk", ExitCode::io); }),
                    Error);
  CHECK(greatest(ranks, ranks.rank()) == ranks.size() - 1);
}

TEST_CASE("greatest and broadcast_text reach every rank") {
  Communicator& ranks = Host::ranks();
  CHECK(greatest(ranks, ranks.rank() == 0 ? 7 : -3) == 7);
  const std::string text = "state of the run";
  const int last = ranks.size() - 1;
  CHECK(broadcast_text(ranks, ranks.rank() == last ? text : "", last) == text);
  CHECK(broadcast_text(ranks, "", 0).empty());
}

TEST_CASE("a fold lets no NaN be hidden by a maximum") {
  const double nan = std::nan(""), one = 1, two = 2;
  double greatest = 0;
  for (const auto& terms :
       {std::vector<const void*>{&nan, &one}, {&two, &nan}, {&one, &nan, &two}}) {
    fold(Dtype::f64, terms, Reduction::max, 1, &greatest);
    CHECK(std::isnan(greatest));
  }
}

TEST_CASE("parts of ranks are as equal as it goes, in order, and cover everything") {
  const std::int64_t count = GENERATE(0, 1, 5, 16, 1001);
  const int ranks = GENERATE(1, 2, 3, 7);
  std::int64_t end = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    const Range part = part_of(count, rank, ranks);
    CHECK(part.begin == end);
    CHECK((part.size() == count / ranks || part.size() == count / ranks + 1));
    end = part.end;
  }
  CHECK(end == count);
}

}  // namespace
}  // namespace metascale
