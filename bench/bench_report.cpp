// How long a report on many runs takes, and how much memory:
//   bench_report write FOLDER RUNS STEPS     makes up run folders with the program's own writers
//   bench_report measure FOLDER [threads]    reports on them, and prints seconds and peak memory
// The runs are two arms at ten sizes and up to ten lengths with five seeds, RUNS of them; the
// losses follow a known law with noise. Writing takes about 0.4 GB per 100 runs of 10,000 steps.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

#include "analysis/report.hpp"
#include "core/error.hpp"
#include "core/journal.hpp"
#include "core/run_file.hpp"

namespace {

using namespace metascale;
namespace fs = std::filesystem;

constexpr int arms = 2, sizes = 10, seeds = 5;
constexpr int documents = 500, domains = 8;

struct Place {
  int arm, size, length, seed;
};

// Arms and seeds first, so that few runs already hold pairs.
Place place_of(int number) {
  return {number % arms, number / (arms * seeds) % sizes, number / (arms * seeds * sizes),
          number / arms % seeds + 1};
}

double loss_of(const Place& place, double parameters, double tokens) {
  return (1.7 + 406 * std::pow(parameters, -0.34) + 410 * std::pow(tokens, -0.28)) *
         (place.arm == 1 ? 0.985 : 1.0);
}

Evaluation final_evaluation(std::int64_t steps, double loss, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  Evaluation evaluation{.step = steps,
                        .split = "test",
                        .protocol = "packed_windows",
                        .is_final = true,
                        .coverage = "all",
                        .digest = 77};
  for (int domain = 0; domain < domains; ++domain)
    evaluation.domains.push_back({"domain" + std::to_string(domain)});
  for (int document = 0; document < documents; ++document) {
    const std::int64_t tokens = 200 + document * 37 % 800;
    const double nats = double(tokens) * loss * (1 + 0.02 * normal(random));
    evaluation.segments.push_back(
        {document / 4, document, document % domains, tokens, 4 * tokens, nats});
    DomainRow& row = evaluation.domains[std::size_t(document % domains)];
    row.tokens += tokens, row.bytes += 4 * tokens, row.nats += nats;
    evaluation.tokens += tokens, evaluation.bytes += 4 * tokens, evaluation.nats += nats;
  }
  return evaluation;
}

void add_steps(RunLog& log, std::int64_t steps, std::int64_t batch, double flops_per_token,
               double final_loss, std::mt19937_64& random) {
  std::normal_distribution<double> normal;
  for (std::int64_t step = 1; step <= steps; ++step) {
    const double share = double(step) / double(steps);
    log.steps.push_back(
        {.step = step,
         .tokens = step * batch,
         .flops = flops_per_token * double(step * batch),
         .loss = final_loss + 6 * std::pow(1 + 60 * share, -0.9) + 0.03 * normal(random),
         .learning_rate = 1e-3,
         .gradient_norm = 0.5,
         .digest = std::uint64_t(step) * 977,
         .seconds = 0.1,
         .tokens_per_second = 10.0 * double(batch)});
    if (step % std::max<std::int64_t>(1, steps / 10) == 0)
      log.evaluations.push_back({.step = step,
                                 .split = "validation",
                                 .protocol = "packed_windows",
                                 .coverage = "all",
                                 .digest = 5,
                                 .tokens = 1000,
                                 .bytes = 4000,
                                 .nats = 1000 * log.steps.back().loss});
  }
}

RunLog log_of(int number, std::int64_t steps) {
  const Place place = place_of(number);
  const double parameters = 1e6 * std::pow(2.2, place.size);
  const auto batch =
      std::int64_t(20 * parameters * std::pow(1.6, place.length) / double(steps)) + 1;
  const double tokens = double(batch * steps), flops_per_token = 6 * parameters;
  std::mt19937_64 random{std::uint64_t(number)};
  const double loss = loss_of(place, parameters, tokens) *
                      (1 + 0.0035 * std::normal_distribution<double>()(random));
  const std::string arm = place.arm == 0 ? "transformer" : "meta_state";
  const auto text = [](double value) { return std::to_string(std::int64_t(value)); };
  RunLog log;
  log.facts = {{"arm", arm},
               {"architecture", arm},
               {"size", "size" + std::to_string(place.size)},
               {"length", std::to_string(place.length + 1) + "xC"},
               {"seed", std::to_string(place.seed)},
               {"parameters", text(parameters)},
               {"non_embedding_parameters", text(0.8 * parameters)},
               {"flops_per_token", text(flops_per_token)},
               {"tokens_planned", text(tokens)},
               {"steps_planned", std::to_string(steps)},
               {"batch_tokens", std::to_string(batch)},
               {"context", "512"},
               {"tokenizer", "bytes"},
               {"data_name", "small"},
               {"data_digest", "d1"},
               {"data_order", "permuted " + std::to_string(place.seed)},
               {"evaluation", "packed_windows, all windows"},
               {"match_value", text(parameters)},
               {"schedule", "cosine 1% 10%"},
               {"precision", "f32"},
               {"baseline_arm", "transformer"},
               {"arms", "transformer,meta_state"},
               {"sweep", "bench"},
               {"match_on", "parameters"},
               {"match_tolerance", "0.5%"},
               {"device", "cpu"},
               {"threads", "1"},
               {"role", "run"}};
  log.run_id = arm + "-" + log.facts["size"] + "-" + log.facts["length"] + "-s" +
               log.facts["seed"] + "-0badcafe";
  log.configuration = "schema: 1\nid: " + log.run_id + "\n";
  add_steps(log, steps, batch, flops_per_token, loss, random);
  log.evaluations.push_back(final_evaluation(steps, loss, random));
  return log;
}

void write_run(const fs::path& folder, const RunLog& log) {
  fs::create_directories(folder / "evaluations");
  {
    Journal journal(folder / "journal.jsonl");
    journal.header(log);
    for (const StepRow& row : log.steps) journal.append(row);
    for (const Evaluation& evaluation : log.evaluations) {
      const std::string file = evaluation.segments.empty() ? "" : "evaluations/test-final.bin";
      if (!file.empty()) write_segments(folder / file, evaluation);
      journal.append(evaluation, file);
    }
  }
  write_run_file(folder / "run.h5", log);
  std::ofstream(folder / "DONE") << "done\n";
}

int write(const fs::path& folder, int runs, std::int64_t steps) {
  for (int number = 0; number < runs; ++number) {
    const RunLog log = log_of(number, steps);
    write_run(folder / "runs" / log.run_id, log);
  }
  std::printf("%d runs of %lld steps in %s\n", runs, (long long)steps, folder.c_str());
  return 0;
}

int measure(const fs::path& folder, int threads) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // stages are seen as they begin, in a file too
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  ReportOptions options{.threads = threads};
  std::string last;
  options.progress = [&](const std::string& stage) {
    const std::string head = stage.substr(0, stage.find(':'));
    if (head != last) std::printf("%8.1f s  %s\n", seconds(), head.c_str());
    last = head;
  };
  const ReportResult result = write_report(folder, options);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  rusage children{};  // gnuplot
  getrusage(RUSAGE_CHILDREN, &children);
  const auto user = [](const rusage& one) {
    return double(one.ru_utime.tv_sec) + 1e-6 * double(one.ru_utime.tv_usec);
  };
  std::printf(
      "%lld runs: %.1f s (%.1f s of user time, %.1f s more in gnuplot), %.0f MiB at most, page of "
      "%.2f MB\n",
      (long long)(result.done), seconds(), user(usage), user(children),
      double(usage.ru_maxrss) / 1024, double(fs::file_size(result.page)) / 1e6);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string what = count > 2 ? words[1] : "";
  try {
    if (what == "write" && count == 5)
      return write(words[2], std::atoi(words[3]), std::atoll(words[4]));
    if (what == "measure") return measure(words[2], count > 3 ? std::atoi(words[3]) : 2);
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_report: %s\n", error.what());
    return int(error.code);
  }
  std::fprintf(stderr, "usage: bench_report write FOLDER RUNS STEPS | measure FOLDER [threads]\n");
  return 2;
}
