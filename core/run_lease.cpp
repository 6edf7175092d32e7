#include "core/run_lease.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/file.hpp"
#include "core/file_clock.hpp"
#include "core/hash.hpp"
#include "core/heartbeat.hpp"
#include "core/json_text.hpp"

namespace metascale {
namespace {

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Field 22 of /proc/<pid>/stat; its second field, the name, may hold blanks and brackets. 0: no
// such process, or one that has ended and was not waited for.
std::uint64_t start_of_process(pid_t pid) {
  const std::string line = first_line(concat("/proc/", pid, "/stat"));
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string state, skipped;
  fields >> state;
  if (state == "Z" || state == "X") return 0;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  std::uint64_t start = 0;
  fields >> start;
  return start;
}

// A job of Slurm, and how often it was started again; no name where we are in none.
struct JobStart {
  std::string job;
  std::int64_t restarts = 0;
};

JobStart this_job() {
  const char* job = std::getenv("SLURM_JOB_ID");
  const char* restarts = std::getenv("SLURM_RESTART_COUNT");  // set from the second start on
  return {job ? job : "", restarts ? std::atoll(restarts) : 0};
}

struct Holder {
  ProcessIdentity process;
  std::string token;
  JobStart job;
};

std::optional<Holder> parse_holder(const std::string& text) {
  const auto json = parse_json(text);
  try {
    return Holder{{json.at("host"), json.at("boot"), json.at("pid_namespace"),
                   json.at("pid").get<pid_t>(), json.at("start").get<std::uint64_t>()},
                  json.at("token"),
                  {json.at("job"), json.value("restarts", std::int64_t(0))}};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // not a lease: judged by its age alone
  }
}

// Nothing: it is not there. Throws Error{bad_input} where it is no file, or far too large for one.
std::optional<std::string> text_of(const std::filesystem::path& path) {
  try {
    return read_file(path, 1 << 16);
  } catch (const Error& error) {
    if (error.code != ExitCode::io) throw;
    return std::nullopt;
  }
}

// Both times are the file server's, so that clocks of machines need not agree.
double seconds_between(const std::filesystem::path& older, const std::filesystem::path& newer) {
  struct stat a {
  }, b{};
  if (::stat(older.c_str(), &a) != 0 || ::stat(newer.c_str(), &b) != 0) return 0;
  return double(b.st_mtim.tv_sec - a.st_mtim.tv_sec) +
         1e-9 * double(b.st_mtim.tv_nsec - a.st_mtim.tv_nsec);
}

enum class Life { dead, alive, unknown };

Life life_of(const ProcessIdentity& there) {
  const ProcessIdentity here = this_process();
  if (there.host != here.host) return Life::unknown;
  if (there.boot != here.boot) return Life::dead;
  if (there.pid_namespace != here.pid_namespace) return Life::unknown;
  return start_of_process(there.pid) == there.start ? Life::alive : Life::dead;
}

// Slurm starts a job again only after it has ended it everywhere, or given its node up.
bool is_earlier_start(const JobStart& there, const JobStart& here) {
  return !there.job.empty() && there.job == here.job && there.restarts < here.restarts;
}

Life life_of(const std::optional<Holder>& holder) {
  if (!holder) return Life::unknown;
  const Life life = life_of(holder->process);
  if (life == Life::unknown && is_earlier_start(holder->job, this_job())) return Life::dead;
  return life;
}

std::string describe(const std::optional<Holder>& holder) {
  if (!holder) return "a process that cannot be told from its lease";
  return concat("process ", holder->process.pid, " on ", holder->process.host,
                holder->job.job.empty() ? "" : " (job " + holder->job.job + ")");
}

// A file under a name of this process's own: gone with this, or moved to where it is wanted.
class OwnFile {
 public:
  OwnFile(const std::filesystem::path& path, const std::string& text) : path_(path) {
    write_file_atomically(path_, text);
  }
  ~OwnFile() { ::unlink(path_.c_str()); }
  OwnFile(const OwnFile&) = delete;
  OwnFile& operator=(const OwnFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

bool is_dead(Life life, double age, double stale_seconds) {
  return life == Life::dead || (life == Life::unknown && age > stale_seconds);
}

// Puts `own` in the place of the lease that was judged dead; false: another process does, or did.
// Whoever may is settled by a link whose name follows from what was judged, so that there is one,
// and no moment without a lease. Where that process died in the middle, the next link's name
// follows from its link, too.
bool take_over(const std::filesystem::path& path, const std::string& judged,
               const std::filesystem::path& own, double stale_seconds) {
  constexpr int most_deaths = 8;
  std::vector<std::filesystem::path> links;
  std::string dead = judged;
  while (links.size() < most_deaths) {
    links.push_back(path);
    links.back() += ".taken-" + to_hex(xxh3_64(dead.data(), dead.size()));
    if (::link(own.c_str(), links.back().c_str()) == 0) {
      const bool stands = text_of(path) == judged;
      const int failure = stands && ::rename(own.c_str(), path.c_str()) != 0 ? errno : 0;
      for (const auto& link : links) ::unlink(link.c_str());
      if (failure != 0) throw_io_error("take over", path, failure);
      return stands;
    }
    if (errno != EEXIST) throw_io_error("take over", path, errno);
    const std::optional<std::string> other = text_of(links.back());
    if (!other) return false;
    const double age = seconds_between(links.back(), own);
    if (!is_dead(life_of(parse_holder(*other)), age, stale_seconds)) return false;
    dead += *other;
  }
  return false;
}

std::string unique_token() {
  const ProcessIdentity me = this_process();
  const std::string text = concat(me.host, me.boot, me.pid, " ", me.start, " ",
                                  std::uint64_t(seconds_since_1970() * 1e9));
  return to_hex(xxh3_64(text.data(), text.size()));
}

}  // namespace

ProcessIdentity this_process() {
  char host[HOST_NAME_MAX + 1] = "";
  ::gethostname(host, sizeof host - 1);
  std::error_code ignored;
  return {host, first_line("/proc/sys/kernel/random/boot_id"),
          std::filesystem::read_symlink("/proc/self/ns/pid", ignored).string(), ::getpid(),
          start_of_process(::getpid())};
}

bool has_ended(const ProcessIdentity& process) {
  const ProcessIdentity here = this_process();  // two machines of a job may share a name
  return process.boot == here.boot && life_of(process) == Life::dead;
}

RunLease::RunLease(const std::filesystem::path& run_folder, double stale_seconds, const char* what)
    : path_(run_folder / "lease.json"), token_(unique_token()), what_(what) {
  std::filesystem::path own_path = path_;
  own_path += "." + token_;
  const OwnFile own_file(own_path, text());
  const std::filesystem::path& own = own_file.path();
  for (int attempt = 0; attempt < 10; ++attempt) {
    if (::link(own.c_str(), path_.c_str()) == 0) return;
    if (errno != EEXIST) throw_io_error("create", path_, errno);
    const std::optional<std::string> found = text_of(path_);
    if (!found) continue;  // given back meanwhile
    const std::optional<Holder> holder = parse_holder(*found);
    const double age = seconds_between(path_, own);
    if (!is_dead(life_of(holder), age, stale_seconds))
      throw Error(
          concat(run_folder.string(), ": this ", what_, " is being worked on by ", describe(holder),
                 ", seen ", std::int64_t(age), " s ago; wait for it or end it, then start again"),
          ExitCode::unavailable);
    taken_over_ = take_over(path_, *found, own, stale_seconds);
    if (taken_over_) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // for who does take it over
  }
  throw Error(
      concat(path_.string(), ": several processes want this ", what_, " at once; start one"),
      ExitCode::unavailable);
}

RunLease::~RunLease() {
  try {
    if (is_ours()) ::unlink(path_.c_str());
  } catch (const std::exception&) {  // it cannot be read: it stays, and is a dead process's soon
  }
}

std::string RunLease::text() const {
  const ProcessIdentity me = this_process();
  const JobStart job = this_job();
  const nlohmann::ordered_json json = {
      {"host", me.host}, {"boot", me.boot},         {"pid_namespace", me.pid_namespace},
      {"pid", me.pid},   {"start", me.start},       {"job", job.job},
      {"token", token_}, {"restarts", job.restarts}};
  return json.dump(1) + "\n";
}

bool RunLease::is_ours() const {
  const std::optional<std::string> found = text_of(path_);
  const std::optional<Holder> holder = found ? parse_holder(*found) : std::nullopt;
  return holder && holder->token == token_;
}

void RunLease::renew() {
  if (!is_ours())
    throw Error(concat(path_.string(), ": another process has taken this ", what_,
                       " over; this one stops and writes nothing more"),
                ExitCode::unavailable);
  // Only the time of the file matters: the server's clock sets it.
  if (::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0) != 0) throw_io_error("renew", path_, errno);
}

bool lease_holder_is_gone(const std::filesystem::path& run_folder) {
  const std::optional<std::string> found = text_of(run_folder / "lease.json");
  return found && life_of(parse_holder(*found)) == Life::dead;
}

double seconds_until_stale(const std::filesystem::path& run_folder, double stale_seconds) {
  const std::filesystem::path path = run_folder / "lease.json";
  const std::optional<std::string> found = text_of(path);
  if (!found || life_of(parse_holder(*found)) != Life::unknown) return 0;
  const std::optional<double> age = FileClock().seconds_since_written(path);
  return age ? std::max(0.0, stale_seconds - *age) : 0;
}

double seconds_since_start() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const std::uint64_t ticks = start_of_process(::getpid());
  if (ticks == 0) return 0;  // /proc is another namespace's
  const double start = double(ticks) / double(::sysconf(_SC_CLK_TCK));
  return std::max(0.0, double(now.tv_sec) + 1e-9 * double(now.tv_nsec) - start);
}

}  // namespace metascale
