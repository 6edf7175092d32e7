#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "core/file_clock.hpp"
#include "core/hash.hpp"
#include "core/heartbeat.hpp"
#include "core/run_lease.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

namespace {

// A process that holds the folder's lease until it is killed.
class Holder {
 public:
  explicit Holder(const std::filesystem::path& folder) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_ = fork();
    if (pid_ == 0) {
      try {
        const RunLease lease(folder);
        if (write(ends[1], "x", 1) == 1)
          for (;;) pause();
      } catch (const Error&) {  // no byte comes, and the test says so
      }
      _exit(1);
    }
    close(ends[1]);
    char byte;
    REQUIRE(read(ends[0], &byte, 1) == 1);
    close(ends[0]);
  }
  ~Holder() { end(); }
  void end() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

std::string refusal(const std::filesystem::path& folder, double stale_seconds = 600) {
  return error_of(ExitCode::unavailable, [&] { RunLease lease(folder, stale_seconds); });
}

// What Slurm tells its jobs; restarts: null on the first start.
class SlurmJob {
 public:
  SlurmJob(const char* job, const char* restarts) {
    setenv("SLURM_JOB_ID", job, 1);
    if (restarts) setenv("SLURM_RESTART_COUNT", restarts, 1);
  }
  ~SlurmJob() {
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
  }
  SlurmJob(const SlurmJob&) = delete;
};

// Changes one entry of the lease, as if another process had written it.
void edit(const TemporaryFolder& folder, const std::string& key, const nlohmann::json& value) {
  auto lease = nlohmann::json::parse(read_bytes(folder / "lease.json"));
  lease[key] = value;
  write_bytes(folder / "lease.json", lease.dump());
}

std::ptrdiff_t files_in(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

void make_old(const std::filesystem::path& path, std::int64_t seconds) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  const timespec times[2] = {{status.st_mtim.tv_sec - seconds, 0},
                             {status.st_mtim.tv_sec - seconds, 0}};
  REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("a second process is refused while the first lives, and told which it is") {
  const TemporaryFolder folder;
  const Holder holder(folder.path());
  CHECK_THAT(refusal(folder.path()), Catch::Contains(concat("process ", holder.pid(), " on ")) &&
                                         Catch::Contains("worked on"));
  CHECK_THAT(refusal(folder.path(), 0), Catch::Contains("worked on"));  // alive, however old
}

TEST_CASE("the lease of a killed process is taken over at once") {
  const TemporaryFolder folder;
  Holder holder(folder.path());
  holder.end();
  RunLease lease(folder.path());
  CHECK(lease.was_taken_over());
  CHECK_NOTHROW(lease.renew());
}

TEST_CASE("a lease is given back at the end, with nothing left behind") {
  const TemporaryFolder folder;
  {
    const RunLease lease(folder.path());
    CHECK_FALSE(lease.was_taken_over());
    CHECK_THAT(refusal(folder.path()), Catch::Contains("worked on"));
  }
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK(refusal(folder.path()) == "");
}

TEST_CASE("a process id that was used again, or a machine started again, is a dead holder") {
  const TemporaryFolder folder;
  const Holder holder(folder.path());
  SECTION("another start time") { edit(folder, "start", 1); }
  SECTION("another boot") { edit(folder, "boot", "another"); }
  CHECK(RunLease(folder.path()).was_taken_over());
}

TEST_CASE("a holder that cannot be looked at lives as long as it renews") {
  const TemporaryFolder folder;
  const Holder holder(folder.path());
  SECTION("on another machine") { edit(folder, "host", "far-away"); }
  SECTION("in another container") { edit(folder, "pid_namespace", "pid:[1]"); }
  SECTION("unreadable") { write_bytes(folder / "lease.json", "{"); }
  CHECK_THAT(refusal(folder.path()), Catch::Contains("worked on"));
  make_old(folder / "lease.json", 700);
  CHECK(RunLease(folder.path()).was_taken_over());
}

TEST_CASE("an earlier start of our own Slurm job is a dead holder, wherever it was") {
  const TemporaryFolder folder;
  const SlurmJob job("77", "1");
  const Holder holder(folder.path());
  CHECK(nlohmann::json::parse(read_bytes(folder / "lease.json")).at("restarts") == 1);
  SECTION("on another machine") { edit(folder, "host", "far-away"); }
  SECTION("in another container") { edit(folder, "pid_namespace", "pid:[1]"); }
  make_old(folder / "lease.json", 300);                             // the usual SlurmdTimeout
  CHECK_THAT(refusal(folder.path()), Catch::Contains("(job 77)"));  // of this very start
  {
    const SlurmJob other("78", "2");
    CHECK_THAT(refusal(folder.path()), Catch::Contains("(job 77)"));
    CHECK_FALSE(lease_holder_is_gone(folder.path()));
  }
  const SlurmJob again("77", "2");
  CHECK(lease_holder_is_gone(folder.path()));
  CHECK(seconds_until_stale(folder.path()) == 0);
  CHECK(RunLease(folder.path()).was_taken_over());
}

TEST_CASE("an earlier start of our job that can be looked at, and lives, is a holder") {
  const TemporaryFolder folder;
  std::optional<SlurmJob> job(std::in_place, "77", nullptr);
  const Holder holder(folder.path());
  job.reset();
  const SlurmJob again("77", "1");
  CHECK_THAT(refusal(folder.path()), Catch::Contains("worked on"));
}

TEST_CASE("a lease is worth waiting for only where its holder cannot be looked at") {
  const TemporaryFolder folder;
  CHECK(seconds_until_stale(folder.path()) == 0);
  Holder holder(folder.path());
  CHECK(seconds_until_stale(folder.path()) == 0);  // it lives
  edit(folder, "host", "far-away");
  make_old(folder / "lease.json", 300);
  CHECK(seconds_until_stale(folder.path()) == Approx(300).margin(60));
  make_old(folder / "lease.json", 300);
  CHECK(seconds_until_stale(folder.path()) == 0);
}

TEST_CASE("a process knows since when it is there") {
  const double before = seconds_since_start();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const double age = seconds_since_start();
    _exit(write(ends[1], &age, sizeof age) == sizeof age ? 0 : 1);
  }
  double age = 0;
  REQUIRE(read(ends[0], &age, sizeof age) == sizeof age);
  waitpid(child, nullptr, 0);
  close(ends[0]);
  close(ends[1]);
  const double now = seconds_since_start();
  CHECK(now >= before + 0.03);
  CHECK(age >= 0);
  CHECK(now - age > 0.015);  // the kernel counts starts in hundredths
}

TEST_CASE("a file's age is known by the clock that dates files, and leaves nothing behind") {
  const TemporaryFolder folder;
  FileClock clock;
  CHECK_FALSE(clock.seconds_since_written(folder / "word"));
  write_bytes(folder / "word", "x");
  make_old(folder / "word", 300);
  CHECK(*clock.seconds_since_written(folder / "word") == Approx(300).margin(60));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("who has lost the lease is told so at the next heartbeat, and leaves the new one alone") {
  const TemporaryFolder folder;
  {
    RunLease lease(folder.path());
    edit(folder, "token", "of-another");
    CHECK_THAT(error_of(ExitCode::unavailable, [&] { lease.renew(); }),
               Catch::Contains("taken this run over"));
  }
  CHECK(std::filesystem::exists(folder / "lease.json"));
}

TEST_CASE("of many processes that start at once exactly one gets the lease") {
  const TemporaryFolder folder;
  Holder dead(folder.path());
  dead.end();
  std::vector<pid_t> children;
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  for (int i = 0; i < 8; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    try {
      const RunLease lease(folder.path());
      if (write(ends[1], "+", 1) != 1) _exit(1);
      for (;;) pause();
    } catch (const Error&) {
      if (write(ends[1], "-", 1) != 1) _exit(1);
    }
    _exit(0);
  }
  std::string answers(children.size(), '?');
  for (char& answer : answers) REQUIRE(read(ends[0], &answer, 1) == 1);
  for (const pid_t child : children) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  close(ends[0]);
  close(ends[1]);
  CHECK(std::count(answers.begin(), answers.end(), '+') == 1);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a process that died while it took a lease over leaves the lease to the next") {
  const TemporaryFolder folder;
  Holder dead(folder.path());
  dead.end();
  const std::string judged = read_bytes(folder / "lease.json");
  const int deaths = GENERATE(1, 2);
  std::string chain = judged;
  for (int i = 0; i < deaths; ++i) {
    const std::filesystem::path link =
        folder / ("lease.json.taken-" + to_hex(xxh3_64(chain.data(), chain.size())));
    write_bytes(link, judged + std::string(std::size_t(i), ' '));
    chain += read_bytes(link);
  }
  const RunLease lease(folder.path());
  CHECK(lease.was_taken_over());
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a lease that a living process takes over just now is not taken from it") {
  const TemporaryFolder folder;
  Holder dead(folder.path());
  dead.end();
  const std::string judged = read_bytes(folder / "lease.json");
  const std::filesystem::path link =
      folder / ("lease.json.taken-" + to_hex(xxh3_64(judged.data(), judged.size())));
  {
    const TemporaryFolder other;
    const RunLease living(other.path());
    write_bytes(link, read_bytes(other / "lease.json"));
    CHECK_THAT(refusal(folder.path()), Catch::Contains("several processes want this run"));
    CHECK(read_bytes(folder / "lease.json") == judged);
    CHECK(files_in(folder.path()) == 2);
  }
}

TEST_CASE("a heartbeat comes back, with a loss that is not known as well") {
  const TemporaryFolder folder;
  CHECK_FALSE(read_heartbeat(folder.path()));
  Heartbeat beat{.phase = RunPhase::running,
                 .step = 12,
                 .steps = 100,
                 .loss = 3.25,
                 .tokens_per_second = 1e5,
                 .attempt = 2,
                 .message = "waits for \"parent\"",
                 .joules = 2.5};
  write_heartbeat(folder.path(), beat);
  const auto read = read_heartbeat(folder.path());
  REQUIRE(read);
  CHECK(read->phase == RunPhase::running);
  CHECK(read->step == 12);
  CHECK(read->steps == 100);
  CHECK(read->loss == 3.25);
  CHECK(read->tokens_per_second == 1e5);
  CHECK(read->attempt == 2);
  CHECK(read->message == beat.message);
  CHECK(*read->joules == 2.5);
  CHECK(std::abs(read->time - seconds_since_1970()) < 60);
  write_heartbeat(folder.path(), {.phase = RunPhase::pending});
  CHECK_FALSE(read_heartbeat(folder.path())->joules);
  CHECK(std::isnan(read_heartbeat(folder.path())->loss));
  CHECK(std::isnan(read_heartbeat(folder.path())->tokens_per_second));
}

TEST_CASE("a damaged state.json counts as absent") {
  const TemporaryFolder folder;
  for (const char* text : {"", "{}", "[1]", R"({"state":"flying"})", R"({"state":1})"}) {
    write_bytes(folder / "state.json", text);
    CHECK_FALSE(read_heartbeat(folder.path()));
  }
}
