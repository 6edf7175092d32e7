// Builds the text corpora that come with this project, out of Debian packages
// [data/make_corpus.py].
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace metascale {

struct CorpusOptions {
  std::string tier = "small";    // small (14.7 MB of text), full (140 MB), max (about 250 MB)
  std::filesystem::path folder;  // receives train-NNN, val, test .jsonl.zst and manifest.json
  std::filesystem::path cache;   // of downloaded packages; empty: "packages" beside `folder`
  std::function<void(const std::string& line)> progress;  // each line that the builder says
};

// Runs the builder: python3, apt-get download, dpkg-deb -x, zstd; nothing is installed and root is
// not needed. small and full accept only the packages of their lock files, so that their bytes are
// the same everywhere. Throws Error{usage} for an unknown tier, Error{unavailable} with the
// builder's last words.
void build_corpus(const CorpusOptions& options);

// Where make_corpus.py and the lock files are: beside the program (../share/metascale/data), or
// where it was built. Throws Error{unavailable} if in neither.
std::filesystem::path corpus_scripts();

}  // namespace metascale
