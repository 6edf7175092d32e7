// Streams documents out of files in the Pile's form and out of plain text:
//   .jsonl, .jsonl.zst  one object a line: "text" (a text, or a list of texts, joined by a blank
//                       line) and optionally "meta": {"pile_set_name": the domain}; several zstd
//                       frames in a file
//   .txt, .text, each also with .zst  the file is the document; long ones are cut at blank lines
//   .zst behind a name without another ending  the same: a.zst, but not a.json.zst or a.tar.zst
// The domain of a document without pile_set_name is its file's name without endings, where
// ReaderOptions do not name another. What is not UTF-8 and lone surrogates become
// U+FFFD, one for each maximal invalid subpart [Unicode 16, 3.9, table 3-8].
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/token_file.hpp"

namespace metascale {

struct Document {
  std::string text;       // valid UTF-8, never empty
  std::string domain;     // valid UTF-8
  std::int64_t line = 0;  // of its file, from 1; 0 in a file of plain text
};

enum class BadLines { refuse, skip };

struct ReaderOptions {
  BadLines bad_lines = BadLines::refuse;
  // Bytes, also of the line with U+FFFD for what is not UTF-8; a longer one is a bad line. Reading
  // a line takes twice its bytes of memory, so this keeps a program below 1 GiB.
  std::int64_t longest_line = 320'000'000;
  std::int64_t longest_text = 200'000;  // bytes of a document out of a plain text file
  std::string domain;                   // of documents that name none; empty: the file's name
};

// Bad lines that were skipped.
struct SkippedLines {
  static constexpr std::size_t most_named = 100;
  std::int64_t count = 0;
  std::vector<std::string> named;  // the first ones: "file:line: what is wrong"

  void add(std::string line);
  void add(const SkippedLines& others);
};

// The files of a source: itself, or everything readable in the folder and the folders in it, also
// by links, sorted by path. others: where to put the paths of all else there, sorted. Throws
// Error{bad_input} if there is none, and where links lead to a folder twice.
std::vector<std::filesystem::path> find_source_files(
    const std::filesystem::path& source, std::vector<std::filesystem::path>* others = nullptr);

class DocumentReader {
 public:
  explicit DocumentReader(std::vector<std::filesystem::path> files, ReaderOptions options = {});
  ~DocumentReader();

  // The next document, or false at the end of the last file. Memory is bounded by the longest line.
  // Throws Error{bad_input}: "file:line: what is wrong".
  bool next(Document& document);

  const SkippedLines& skipped() const { return skipped_; }  // as the options say
  std::int64_t empty() const { return empty_; }             // lines without text: no documents
  std::int64_t stored_bytes_read() const;                   // of all files, compressed as they are
  // The files read to their end so far, with size and SHA-256 as stored.
  const std::vector<SourceFile>& sources() const { return sources_; }

 private:
  bool open_next_file();
  void close_file();
  bool next_line(Document& document);
  bool next_text(Document& document);

  std::vector<std::filesystem::path> files_;
  ReaderOptions options_;
  std::size_t next_file_ = 0;
  SkippedLines skipped_;
  std::int64_t empty_ = 0, finished_bytes_ = 0;
  std::vector<SourceFile> sources_;
  struct OpenFile;
  std::unique_ptr<OpenFile> open_;
};

}  // namespace metascale
