// Paired differences of two models that scored the same documents, with intervals by bootstrap over
// documents and, where there are several seeds, over seeds.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "analysis/interval.hpp"

namespace metascale {

struct DocumentLoss {  // one document of an evaluation; sums over all its scored tokens
  std::int64_t document = 0;
  std::int32_t domain = 0;  // index into the evaluation's domains
  std::int64_t tokens = 0;
  std::int64_t bytes = 0;
  double nats = 0;
};

// Two arms' losses on one document, with the same seed. Documents stand in the same order for every
// seed of a comparison.
struct PairedDocument {
  std::int32_t domain = 0;
  double tokens = 0;
  double bytes = 0;
  double first = 0, second = 0;  // nats
};
using PairedSeed = std::vector<PairedDocument>;

// Joins two evaluations' documents by number, in ascending order. Throws Error{assertion} naming
// the first document that one of them lacks or whose tokens differ.
PairedSeed join_documents(std::span<const DocumentLoss> first,
                          std::span<const DocumentLoss> second);

// Runs that differ only in their seed differ in loss by about this share of it: the standard
// deviation of one run (docs/analysis.md, "Seeds").
inline constexpr double known_seed_deviation = 0.0035;

// Of fewer documents no interval is given: draws of one, two, three documents hardly differ from
// each other, and an interval that is narrow because little was seen would decide a claim.
inline constexpr std::int64_t fewest_documents = 5;

struct PairedOptions {
  int draws = 10000;
  std::uint64_t seed = 20250411;
  std::uint64_t cell = 0;  // apart in this, comparisons share documents' draws but not seeds' draws
  double confidence = 0.95;
  int threads = 1;
  int domain = -1;                               // only the documents of this domain; -1: all
  double seed_deviation = known_seed_deviation;  // relative, of one run; used with one seed only
};

// All in nats per token, second minus first: negative where the second arm is better. Of fewer than
// fewest_documents no interval is known.
struct PairedResult {
  double difference = 0;  // mean over seeds, weighted by tokens
  double first_loss = 0, second_loss = 0;
  double relative = 0;              // difference / first_loss
  double bits_per_byte = 0;         // the difference in bits per UTF-8 byte
  Interval percentile;              // documents only
  Interval bca;                     // documents only
  Interval with_seeds;              // documents and seeds: the one that a claim is decided by
  std::vector<double> per_seed;     // difference of each seed
  double seed_deviation = 0;        // standard deviation of per_seed; NaN with one seed
  bool assumed_seed_noise = false;  // one seed: PairedOptions::seed_deviation was used
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  std::vector<double> draws;  // of the difference with seeds, one per bootstrap draw
};

// Draws depend on (options.seed, draw) alone: comparisons over the same documents draw the same
// documents, and stay paired across sizes. Throws Error{assertion} if there is no document.
PairedResult paired_difference(std::span<const PairedSeed> seeds, const PairedOptions& options);

}  // namespace metascale
