// What a preparation reads, in what order, and which part each document is for.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/preparation/state.hpp"
#include "data/prepare.hpp"

namespace metascale {

struct PreparationUnit {
  std::filesystem::path file;
  std::optional<Split> split;  // empty: by the hash of each text
  std::string domain;          // of documents that name none; empty: the file's name
};

struct PreparationPlan {
  std::vector<PreparationUnit> units;  // validation and test come before train
  std::vector<SourceStamp> stamps;     // of the units' files
  std::vector<Split> parts;            // in the order of PrepareResult
  PassedOver passed_over;
  bool by_hash = false;
  std::string identity;  // of everything but the source's bytes that the result depends on
};

// Throws Error{bad_input} as find_source_files and find_splits do.
PreparationPlan make_plan(const PrepareOptions& options, const Tokenizer& tokenizer);

}  // namespace metascale
