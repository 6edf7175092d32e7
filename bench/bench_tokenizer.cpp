// Times a tokenizer on text and prints MB/s, for one thread and for several:
//   bench_tokenizer TOKENIZER FILE [threads]
// TOKENIZER as `data prepare` takes it; FILE is .jsonl, .txt or either with .zst. The whole text is
// in memory first; the best of five passes counts. MB per second of CPU time, of all threads
// together, is what a machine that others use too allows to compare. Then what the second thread
// brought, and the most memory that the program held, the text among it.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "data/document_reader.hpp"
#include "data/files/parallel_tasks.hpp"
#include "data/tokenizer.hpp"

namespace {

using namespace metascale;

struct Text {
  std::vector<std::string> documents;
  std::int64_t bytes = 0;
};

Text read_text(const char* path) {
  Text text;
  DocumentReader reader({path});
  for (Document document; reader.next(document);) {
    text.bytes += std::int64_t(document.text.size());
    text.documents.push_back(std::move(document.text));
  }
  return text;
}

// MB/s.
double time_pass(const Tokenizer& tokenizer, const Text& text, int threads) {
  double best = 1e9, best_cpu = 1e9;  // seconds
  std::vector<std::int64_t> tokens(text.documents.size());
  for (int pass = 0; pass < 5; ++pass) {
    const std::clock_t cpu_begin = std::clock();
    const auto begin = std::chrono::steady_clock::now();
    run_tasks(threads, 0, std::int64_t(tokens.size()), [&](std::int64_t i) {
      std::vector<std::int32_t> ids;
      tokenizer.encode(text.documents[std::size_t(i)], ids);
      tokens[std::size_t(i)] = std::int64_t(ids.size());
    });
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    best = std::min(best, spent.count());
    best_cpu = std::min(best_cpu, double(std::clock() - cpu_begin) / CLOCKS_PER_SEC);
  }
  std::int64_t total = 0;
  for (const std::int64_t count : tokens) total += count;
  const double megabytes = double(text.bytes) * 1e-6;
  std::printf(
      "%d threads: %.1f MB/s, %.1f MB per CPU second (%zu documents, %.1f MB, %.2f M "
      "tokens)\n",
      threads, megabytes / best, megabytes / best_cpu, tokens.size(), megabytes,
      double(total) * 1e-6);
  return megabytes / best;
}

double peak_megabytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) * 1024e-6;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: bench_tokenizer TOKENIZER FILE [threads]\n");
    return int(ExitCode::usage);
  }
  try {
    const auto tokenizer = make_tokenizer(arguments[1]);
    const Text text = read_text(arguments[2]);
    const int most = count > 3 ? std::max(1, std::atoi(arguments[3])) : 2;
    double one = 0;
    for (int threads = 1; threads <= most; threads *= 2) {
      const double rate = time_pass(*tokenizer, text, threads);
      if (threads == 1) one = rate;
      if (threads > 1) std::printf("%d threads: %.2f times one\n", threads, rate / one);
    }
    std::printf("peak memory %.0f MB, of which the text is %.0f MB\n", peak_megabytes(),
                double(text.bytes) * 1e-6);
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_tokenizer: %s\n", error.what());
    return int(error.code);
  }
  return 0;
}
