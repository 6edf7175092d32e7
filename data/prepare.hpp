// Turns text into token files: train, validation and test, each .bin, .idx, .documents and .json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/document_reader.hpp"
#include "data/overlap.hpp"
#include "data/split.hpp"
#include "data/token_file.hpp"
#include "data/tokenizer.hpp"

namespace metascale {

struct PrepareProgress {
  std::string part;  // what is being done: "splitting", "train", ...
  std::int64_t documents = 0,
               bytes = 0;        // of text, so far, with those of a process before this one
  std::int64_t begin_bytes = 0;  // of text that such a process had done
  std::int64_t stored_bytes = 0, stored_total = 0;  // of the files this part reads
};

struct PrepareOptions {
  std::filesystem::path source;  // a file or a folder [data/document_reader.hpp]
  std::filesystem::path out;     // folder of train.bin ...; made if need be
  int threads = 1;               // the files are the same for any number
  ReaderOptions reader;
  HashSplit::Shares shares;  // for a source without a split of its own [data/split.hpp]
  // Of text: what a kill can cost at most. Between two files a few seconds' work is as much.
  std::int64_t shard_bytes = std::int64_t(64) << 20;
  bool find_overlap = true;                              // [data/overlap.hpp]
  std::function<void(const PrepareProgress&)> progress;  // called now and then, on this thread
};

struct PreparedPart {
  Split split = Split::train;
  std::filesystem::path path;  // without ending
  TokenFileInfo info;
};
// What stands in the source's folder and is no text: files of other endings, what is no file.
struct PassedOver {
  std::int64_t count = 0;
  std::filesystem::path first;  // in the order of paths; empty where there is none
};
struct PrepareResult {
  std::vector<PreparedPart> parts;
  bool split_by_hash = false;
  bool resumed = false;                 // a process before this one had begun
  PassedOver passed_over;               // of the source's folder
  SkippedLines skipped;                 // bad lines
  std::int64_t empty = 0;               // lines without text
  std::int64_t duplicates = 0;          // training texts left out: they are in validation or test
  std::vector<OverlapReport> overlaps;  // validation's and test's with train
};

// A document below a folder that names no domain is of that of the first folder in it that holds
// the document (below that of its part), or of the folder itself where none does.
// Each document's ids are closed by the tokenizer's end of document. A training document whose text
// is one of validation or test is left out. All is written into out/unfinished and moved when it is
// complete. Called again after a kill, a full disk or a bad line, it goes on behind the last whole
// shard, or a file that ended a few seconds before, and the files are those of a call that was
// never interrupted; source files that were changed meanwhile are read again. Memory: less than 1
// GiB, whatever the source: at most twice a line of longest_line, 128 MiB for the hashes of
// held-out texts, 128 MiB for a zstd window and what 4 MiB of text take to tokenise; about 200 MiB
// where no line is longer than 16 MiB. Throws Error{bad_input} for a source without text or with
// too little for its parts, and as DocumentReader does; Error{unavailable} while another process
// prepares there; Error{io}.
PrepareResult prepare(const PrepareOptions& options, const Tokenizer& tokenizer);

}  // namespace metascale
