// Two processes that wrote one journal one after the other, the first of which did not know that it
// had lost the run.
#include <catch2/catch.hpp>

#include "core/journal.hpp"
#include "core/log_differences.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

namespace {

std::vector<std::string> all_differences(const RunLog& a, const RunLog& b) {
  return log_differences(a, b, LogPart::everything);
}

// The journal of a first attempt that came to step 3, and of a second one that came to its end.
void write_two_attempts(const std::filesystem::path& path) {
  {
    Journal first(path);
    first.begin(1);
    first.header(sample_log());
    for (std::int64_t step = 1; step <= 3; ++step) first.append(sample_step(step, 1));
  }
  Journal second(path);
  second.begin(2);
  second.header(sample_log());
  second.resume(2, 2);
  for (std::int64_t step = 3; step <= 5; ++step) second.append(sample_step(step, 2));
  second.append(sample_evaluation(5, "validation", false), "");
  second.append(Event{.step = 5, .attempt = 2, .kind = "done"});
}

}  // namespace

TEST_CASE("rows that an older attempt appends after a newer one began are left out") {
  const TemporaryFolder folder;
  const auto path = folder / "journal.jsonl";
  write_two_attempts(path);
  std::int32_t attempt = 0;
  const RunLog log = read_journal(path, &attempt);
  CHECK(attempt == 2);
  REQUIRE(log.steps.size() == 5);
  write_run_file(folder / "run.h5", log);

  Journal late(path);
  late.begin(1);
  const std::string kind =
      GENERATE("step", "event", "resume", "evaluation", "header", "all of them");
  CAPTURE(kind);
  const auto is = [&](const char* one) { return kind == one || kind == "all of them"; };
  if (is("step")) late.append(sample_step(4, 1));
  if (is("event")) late.append(Event{.step = 4, .attempt = 1, .kind = "saved"});
  if (is("resume")) late.resume(1, 1);
  if (is("evaluation")) {
    Evaluation other = sample_evaluation(5, "validation", false);
    other.nats = 1;
    late.append(other, "");
  }
  if (is("header")) {
    RunLog other = sample_log();
    other.facts["parameters"] = "1";
    late.header(other);
  }
  CHECK(all_differences(log, read_journal(path, &attempt)).empty());
  CHECK(attempt == 2);
  CHECK(all_differences(log, read_run_folder(folder.path())).empty());
  CHECK_FALSE(repair_run_folder(folder.path()));
}

TEST_CASE("a header begins an attempt, before anything else of it is there") {
  const TemporaryFolder folder;
  const auto path = folder / "journal.jsonl";
  write_two_attempts(path);
  Journal third(path);
  third.begin(3);
  third.header(sample_log());
  Journal(path).append(sample_step(4, 2));
  std::int32_t attempt = 0;
  CHECK(read_journal(path, &attempt).steps.size() == 5);
  CHECK(attempt == 3);
}

TEST_CASE("headers and evaluations of older journals, which name no attempt, count as ever") {
  const TemporaryFolder folder;
  const auto path = folder / "journal.jsonl";
  {
    Journal journal(path);
    journal.header(sample_log());
    for (std::int64_t step = 1; step <= 3; ++step) journal.append(sample_step(step, 1));
    journal.resume(2, 2);
    journal.append(sample_step(3, 2));
    journal.append(sample_evaluation(3, "validation", false), "");
    RunLog other = sample_log();
    other.facts["parameters"] = "1";
    journal.header(other);
  }
  const RunLog log = read_journal(path);
  REQUIRE(log.steps.size() == 3);
  CHECK(log.steps[2].attempt == 2);
  CHECK(log.evaluations.size() == 1);
  CHECK(log.facts.at("parameters") == "1");
}
