// Turns text into token files: train, validation and test, each .bin, .idx, .documents and .json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/document_reader.hpp"
#include "data/split.hpp"
#include "data/token_file.hpp"
#include "data/tokenizer.hpp"

namespace metascale {

struct PrepareProgress {
  std::string part;                                 // what is being done: "splitting", "train", ...
  std::int64_t documents = 0, bytes = 0;            // of text, so far
  std::int64_t stored_bytes = 0, stored_total = 0;  // of the files this part reads
};

struct PrepareOptions {
  std::filesystem::path source;  // a file or a folder [data/document_reader.hpp]
  std::filesystem::path out;     // folder of train.bin ...; made if need be
  int threads = 1;               // the files are the same for any number
  ReaderOptions reader;
  HashSplit::Shares shares;  // for a source without a split of its own [data/split.hpp]
  std::function<void(const PrepareProgress&)> progress;  // called now and then, on this thread
};

struct PreparedPart {
  Split split = Split::train;
  std::filesystem::path path;  // without ending
  TokenFileInfo info;
};
struct PrepareResult {
  std::vector<PreparedPart> parts;
  bool split_by_hash = false;
  std::int64_t skipped = 0, empty = 0;  // bad lines, lines without text
};

// Each document's ids are closed by the tokenizer's end of document. Every file is whole or not
// there; the .json comes last. Throws Error{bad_input} for a source without text or with too little
// for its parts, and as DocumentReader does; Error{io}.
PrepareResult prepare(const PrepareOptions& options, const Tokenizer& tokenizer);

}  // namespace metascale
