// Published losses [analysis/published.yaml], to be drawn beside runs only where unit, tokenizer,
// data and split agree.
#pragma once

#include <string>
#include <vector>

#include "analysis/report.hpp"

namespace metascale {

struct PublishedResult {
  std::string model;
  double parameters = 0;
  double non_embedding_parameters = 0;  // NaN: not stated
  double loss = 0;                      // nats per token; NaN where the unit is bits per byte
  std::string tokenizer, data, split, protocol, source;
  std::string unsafe;  // why it must not be drawn; empty: it may
};

// Those that are built into the program.
std::vector<PublishedResult> published_results();
// Throws Error{usage} with file:line for an entry without a key, or with an unknown unit.
std::vector<PublishedResult> parse_published(const std::string& text, const std::string& file_name);

// Those that stand for the same quantity as the report's final evaluations; a protocol that its
// source does not state may be any.
std::vector<PublishedResult> comparable_results(
    const Report& report, std::vector<PublishedResult> results = published_results());

}  // namespace metascale
