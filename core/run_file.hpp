// run.h5: what one run leaves behind. The schema is docs/log-schema.md; the journal is the truth
// and run.h5 a snapshot of it, written aside and renamed [core/journal.hpp].
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace metascale {

inline constexpr int run_file_schema = 1;

// One optimizer step. Columns marked * are deterministic: a resumed run has the same bits.
struct StepRow {
  std::int64_t step = 0;     // * 1 = after the first update
  std::int64_t tokens = 0;   // * trained on since step 0
  double flops = 0;          // * model FLOPs since step 0 (docs/analysis.md, one rule for all)
  double loss = 0;           // * nats per token of this step's batch
  double learning_rate = 0;  // *
  double gradient_norm = 0;  // * global, before clipping
  std::uint64_t digest = 0;  // * of all token ids trained on so far
  double seconds = 0;        // wall time of this step
  double tokens_per_second = 0;
  std::int32_t attempt = 1;  // which start of the program made it
};

struct DomainRow {  // of one evaluation
  std::string domain;
  std::int64_t tokens = 0;  // scored, end-of-document targets not counted
  std::int64_t bytes = 0;   // raw UTF-8 bytes of the text that these tokens stand for
  double nats = 0;          // sum over the scored tokens
};

struct SegmentRow {  // one document's part of one window; the unit of the paired statistics
  std::int64_t window = 0;
  std::int64_t document = 0;
  std::int32_t domain = 0;  // index into Evaluation::domains
  std::int64_t tokens = 0;
  std::int64_t bytes = 0;
  double nats = 0;
};

struct PositionRow {                 // loss by position in the context, one log-spaced bin
  std::int64_t first = 0, last = 0;  // positions, from 0, inclusive
  std::int64_t tokens = 0;
  double nats = 0;
};

// Of a probe [docs/probes.md]: the questions of one length whose evidence lies first to last tokens
// back, one log-spaced bin.
struct ProbeRow {
  std::int64_t length = 0;           // tokens of an example
  std::int64_t first = 0, last = 0;  // distance to the evidence, inclusive
  std::int64_t scored = 0, correct = 0;
  double nats = 0;
  std::int64_t examples = 0;  // that ask anything up to `last`
  std::int64_t solved = 0;    // of these, those without a mistake up to `last`
};

struct Evaluation {
  std::int64_t step = 0;
  std::string split;     // validation | test
  std::string protocol;  // packed_windows | rolling_documents
  bool is_final = false;
  std::string coverage;      // "all", or what part of the split was scored: "64 of 812 windows"
  std::uint64_t digest = 0;  // of the scored windows: equal digests, equal evaluation sets
  std::int64_t tokens = 0;
  std::int64_t bytes = 0;
  double nats = 0;
  double seconds = 0;
  std::vector<DomainRow> domains;
  std::vector<PositionRow> positions;
  std::vector<SegmentRow> segments;  // only of final evaluations
  std::vector<ProbeRow> probes;      // only of probes

  double loss() const { return nats / double(tokens); }  // nats per token
  double bits_per_byte() const { return nats / (0.6931471805599453 * double(bytes)); }
};

struct Event {
  double time = 0;  // seconds since 1970, UTC
  std::int64_t step = 0;
  std::int32_t attempt = 1;
  std::string kind;  // start, resume, checkpoint, evaluation, signal, non_finite, done, failed ...
  std::string message;
};

// Everything in a run.h5. Each step stands once: rows superseded by a resume are left out.
struct RunLog {
  int schema = run_file_schema;
  std::string run_id;
  std::string configuration;                 // config.yaml as text
  std::map<std::string, std::string> facts;  // what plan computed: parameters, flops_per_token ...
  std::map<std::string, std::string> environment;  // host, cpu, threads, versions, commit
  std::vector<StepRow> steps;
  std::vector<Evaluation> evaluations;
  std::vector<Event> events;
};

// Writes beside path, syncs, renames. Throws Error{io}.
void write_run_file(const std::filesystem::path& path, const RunLog& log);
// Throws Error{bad_input} naming path and what is wrong: not HDF5, another schema, columns of
// unequal length, absurd sizes.
RunLog read_run_file(const std::filesystem::path& path);

}  // namespace metascale
