// What a rank learns of the others while it waits for something else, such as its GPU.
#include <catch2/catch.hpp>
#include <cstring>
#include <thread>

#include "core/communicator/messages.hpp"

using namespace metascale;
using Clock = std::chrono::steady_clock;

namespace {

struct Script {
  std::function<std::vector<Heard>()> words = [] { return std::vector<Heard>{}; };  // at each look
  int here = 0, failed = 0;  // words that it told its peers
  std::vector<int> ended;    // peers that end before they have met this rank
  std::vector<int> awaited;  // peers that never answer once they have
};

// Rank 0 of three; its peers are this process, too, and exchange nothing.
class Scripted final : public Transport {
 public:
  explicit Scripted(Script& script) : script_(script) {}
  const char* name() const override { return "scripted"; }
  int rank() const override { return 0; }
  int size() const override { return 3; }
  void begin(const std::vector<Message>& receive, const std::vector<Message>& send) override {
    ++begun_;
    for (const Message& message : receive)
      std::memcpy(message.data, send[0].data, std::min(message.bytes, send[0].bytes));
  }
  bool is_done() override {
    return script_.ended.empty() && (begun_ == 1 || script_.awaited.empty());
  }
  std::vector<int> still_awaited() override { return script_.awaited; }
  std::vector<int> ended() override { return script_.ended; }
  void tell(int, Word word, std::span<const std::byte> text) override {
    if (word == Word::failed) ++script_.failed;
    if (word == Word::alive && !text.empty()) ++script_.here;
  }
  std::optional<Heard> hear() override {  // each word once, and then for once nothing
    if (at_ == heard_.size()) {
      heard_ = heard_.empty() ? script_.words() : std::vector<Heard>{};
      at_ = 0;
    }
    if (heard_.empty()) return std::nullopt;
    return heard_[at_++];
  }
  void leave() override {}
  [[noreturn]] void abort(int) override { std::abort(); }

 private:
  Script& script_;
  int begun_ = 0;  // exchanges; the first is the meeting
  std::vector<Heard> heard_;
  std::size_t at_ = 0;
};

constexpr double timeout = 0.5;

Heard here(int peer) { return {.peer = peer, .word = Word::alive, .text = {std::byte{1}}}; }
Heard wait_for_me(int peer) { return {.peer = peer, .word = Word::alive, .text = {}}; }

void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

}  // namespace

TEST_CASE("watching ranks say that they are here, and find who is silent for the time-out") {
  Script script;
  script.words = [] { return std::vector{here(2)}; };
  const auto ranks = make_message_communicator(std::make_unique<Scripted>(script), timeout);
  CHECK(ranks->timeout() == timeout);
  const auto start = Clock::now();
  std::vector<int> lost;
  try {
    for (;; nap()) ranks->watch(start);
  } catch (const RankLost& error) {
    lost = error.ranks;
  }
  CHECK(lost == std::vector{1});
  CHECK(Clock::now() - start >= std::chrono::duration<double>(timeout));
  CHECK(script.here >= 2);
  CHECK(script.failed >= 1);  // the others hear why
  CHECK_THROWS_AS(ranks->wait(), RankLost);
}

TEST_CASE("where all ranks watch, the wait is as long as it is, and nobody is lost") {
  Script script;
  script.words = [] { return std::vector{here(1), here(2)}; };
  const auto ranks = make_message_communicator(std::make_unique<Scripted>(script), timeout);
  double waited = 0;
  for (const auto start = Clock::now(); waited < 2 * timeout; nap())
    REQUIRE_NOTHROW(waited = ranks->watch(start));
}

TEST_CASE("while a rank may be about to be lost, the GPUs are not to blame") {
  Script script;
  const auto ranks = make_message_communicator(std::make_unique<Scripted>(script), timeout);
  const auto start = Clock::now();
  double longest = 0;
  try {
    for (;; nap()) longest = std::max(longest, ranks->watch(start));
  } catch (const RankLost& error) {
    CHECK(error.ranks == std::vector{1, 2});
  }
  CHECK(longest <= timeout / 2);
}

TEST_CASE("who keeps others waiting lengthens their wait for the GPUs") {
  Script script;
  script.words = [] { return std::vector{here(1), wait_for_me(2)}; };
  const auto ranks = make_message_communicator(std::make_unique<Scripted>(script), 1000);
  const auto start = Clock::now(), late = start + std::chrono::milliseconds(600);
  double shortest = 1000;
  for (; Clock::now() < late + std::chrono::milliseconds(200); nap()) {
    const bool is_late = Clock::now() > late;
    const double waited = ranks->watch(start);
    if (is_late) shortest = std::min(shortest, waited);
  }
  CHECK(shortest < 0.5);
}

TEST_CASE("a failure of another rank is heard while watching") {
  Script script;
  script.words = [] { return std::vector{Heard{.peer = 1, .word = Word::failed, .text = {}}}; };
  const auto ranks = make_message_communicator(std::make_unique<Scripted>(script), timeout);
  CHECK_THROWS_WITH(ranks->watch(Clock::now()),
                    Catch::Contains("rank 1 (process ") && Catch::Contains(") failed"));
}

TEST_CASE("a rank that ends before the ranks have met is named at once, and the others hear it") {
  Script script{.ended = {2}};
  try {
    make_message_communicator(std::make_unique<Scripted>(script), 1000);
    FAIL("they cannot have met");
  } catch (const RankLost& error) {
    CHECK(error.ranks == std::vector{2});
    CHECK(std::string(error.what()) ==
          "rank 2 ended; rank 0 waited for it in their meeting at the start");
  }
  CHECK(script.failed == 2);
}

TEST_CASE("a rank that says that it waits, too, is not taken for the lost one that it waits for") {
  Script script{.words = [] { return std::vector{here(1)}; }, .awaited = {1, 2}};
  const auto ranks = make_message_communicator(std::make_unique<Scripted>(script), timeout);
  ranks->barrier();
  try {
    ranks->wait();
    FAIL("nobody answers");
  } catch (const RankLost& error) {
    CHECK(error.ranks == std::vector{2});
  }
}
