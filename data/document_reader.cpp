#include "data/document_reader.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "core/file.hpp"
#include "data/files/byte_source.hpp"
#include "data/json/document_line.hpp"
#include "data/utf8.hpp"

namespace metascale {
namespace {

enum class SourceKind { lines, text };

struct Ending {
  const char* ending;
  SourceKind kind;
};
constexpr std::array<Ending, 7> endings{{{".jsonl.zst", SourceKind::lines},
                                         {".jsonl", SourceKind::lines},
                                         {".txt.zst", SourceKind::text},
                                         {".txt", SourceKind::text},
                                         {".text.zst", SourceKind::text},
                                         {".text", SourceKind::text},
                                         {".zst", SourceKind::text}}};

constexpr std::string_view zstd_alone = ".zst";

// a.json.zst and a.tar.zst are no texts; a file that is called .zst has no name.
bool is_something_else(std::string_view name) {
  name.remove_suffix(zstd_alone.size());
  return name.empty() || name.find('.') != std::string_view::npos;
}

const Ending* ending_of(const std::string& name) {
  for (const Ending& ending : endings)
    if (name.ends_with(ending.ending))
      return ending.ending == zstd_alone && is_something_else(name) ? nullptr : &ending;
  return nullptr;
}

const Ending& known_ending(const std::filesystem::path& path) {
  const Ending* ending = ending_of(path.filename().string());
  if (!ending)
    throw Error(concat(path.string(),
                       ": is none of .jsonl, .txt, .text, nor one of these "
                       "with .zst, nor a text NAME.zst; rename it to what it is"),
                ExitCode::bad_input);
  return *ending;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Where to cut text so that at most `most` bytes come first: behind the last blank line in the
// second half, else behind the last line, else between two characters.
std::size_t cut_of(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text.size();
  const std::string_view part = text.substr(0, most);
  for (const std::string_view border : {"\n\n", "\n"}) {
    const std::size_t at = part.rfind(border);
    if (at != std::string_view::npos && at >= most / 2) return at + border.size();
  }
  return character_border(text, most);
}

std::filesystem::file_type type_of(const std::filesystem::path& path) {
  std::error_code error;
  const auto type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::none) throw_io_error("examine", path, error.value());
  return type;
}

// All below a folder, by links too, unsorted. Nothing that cannot be examined is left out in
// silence.
class FolderSearch {
 public:
  std::vector<std::filesystem::path> texts, others;

  void read(const std::filesystem::path& folder) {
    enter(folder);
    std::vector<std::filesystem::path> folders;  // entered when this one is closed
    std::error_code error;
    std::filesystem::directory_iterator entry(folder, error), end;
    for (; !error && entry != end; entry.increment(error)) {
      const std::filesystem::path& path = entry->path();
      const std::filesystem::file_type type = type_of(path);
      if (type == std::filesystem::file_type::directory)
        folders.push_back(path);
      else if (type == std::filesystem::file_type::regular && ending_of(path.filename().string()))
        texts.push_back(path);
      else
        others.push_back(path);
    }
    if (error) throw_io_error("read", folder, error.value());
    std::sort(folders.begin(), folders.end());
    for (const std::filesystem::path& each : folders) read(each);
  }

 private:
  // A link to a folder above it has no end, and one to another folder would give its texts twice.
  void enter(const std::filesystem::path& folder) {
    std::error_code error;
    const std::filesystem::path real = std::filesystem::canonical(folder, error);
    if (error) throw_io_error("examine", folder, error.value());
    if (const auto [known, is_new] = entered_.emplace(real, folder); !is_new)
      throw Error(concat(folder.string(), ": is the folder ", known->second.string(),
                         " again, whose texts would be read twice; take the link away"),
                  ExitCode::bad_input);
  }
  std::map<std::filesystem::path, std::filesystem::path> entered_;  // real path to the one that led
};

}  // namespace

struct DocumentReader::OpenFile {
  std::filesystem::path path;
  SourceKind kind;
  std::string domain;  // of documents that name none
  std::unique_ptr<ByteSource> bytes;
  DocumentLineParser parser;
  std::string buffer;
  std::size_t used = 0;  // of buffer
  std::int64_t line = 0;
  bool at_end = false;

  explicit OpenFile(const std::filesystem::path& file)
      : path(file), kind(known_ending(file).kind), bytes(open_byte_source(file)) {
    const std::string name = file.filename().string();
    domain = repair_utf8(
        name.substr(0, name.size() - std::string_view(known_ending(file).ending).size()));
    if (more() && buffer.starts_with("\xef\xbb\xbf")) used = 3;  // a byte order mark
  }

  std::string_view rest() const { return std::string_view(buffer).substr(used); }
  bool more() {
    if (at_end) return false;
    if (used > 0) buffer.erase(0, std::exchange(used, 0));
    at_end = !bytes->read(buffer);
    return !at_end;
  }

  // The next line without its end, in the buffer until the next call, with padding behind it. False
  // at the end of the file. A line longer than most is not kept: too_long is set.
  bool take_line(std::int64_t most, std::string_view& out, bool& too_long) {
    too_long = false;
    constexpr std::size_t long_line = DocumentLineParser::long_line;
    if (buffer.capacity() > long_line && rest().size() < long_line / 2) {
      buffer = std::string(rest());  // of the memory of a long line nothing is kept
      used = 0;
    }
    std::size_t searched = 0;
    std::size_t end;
    while ((end = rest().find('\n', searched)) == std::string_view::npos) {
      searched = rest().size();
      if (std::int64_t(searched) > most) {
        too_long = true;
        used = buffer.size();
        searched = 0;
      }
      if (!more()) break;
    }
    if (end == std::string_view::npos && rest().empty() && !too_long) return false;
    const std::size_t length = std::min(end, rest().size());
    too_long = too_long || std::int64_t(length) > most;
    if (!too_long) {
      buffer.reserve(buffer.size() + DocumentLineParser::padding);
      out = rest().substr(0, length);
    }
    used = std::min(buffer.size(), used + length + 1);
    ++line;
    return true;
  }

  // What is wrong with the line that take_line gave. A long one leaves the buffer, so that it can
  // be freed halfway.
  std::string parse(std::string_view taken, std::int64_t most, Document& document) {
    if (taken.size() <= DocumentLineParser::long_line) return parser.parse(taken, document);
    std::string behind(rest());
    const auto begin = std::size_t(taken.data() - buffer.data());
    buffer.resize(begin + taken.size());
    buffer.erase(0, begin);
    std::string own = std::exchange(buffer, std::move(behind));
    used = 0;
    return parser.parse(std::move(own), most, document);
  }
};

std::vector<std::filesystem::path> find_source_files(const std::filesystem::path& source,
                                                     std::vector<std::filesystem::path>* others) {
  const std::filesystem::file_type type = type_of(source);
  if (type == std::filesystem::file_type::not_found)
    throw Error(concat(source.string(), ": there is no such file or folder; check the path"),
                ExitCode::usage);
  if (type != std::filesystem::file_type::directory) {
    known_ending(source);
    return {source};
  }
  FolderSearch search;
  search.read(source);
  std::vector<std::filesystem::path> files = std::move(search.texts);
  std::sort(files.begin(), files.end());
  std::sort(search.others.begin(), search.others.end());
  if (others) *others = std::move(search.others);
  if (files.empty())
    throw Error(concat(source.string(),
                       ": holds no .jsonl, .txt or .text file, nor one of these "
                       "with .zst, nor a text NAME.zst; name the folder that does, or rename the "
                       "files to what they are"),
                ExitCode::bad_input);
  return files;
}

void SkippedLines::add(std::string line) {
  ++count;
  if (named.size() < most_named) named.push_back(std::move(line));
}

void SkippedLines::add(const SkippedLines& others) {
  count += others.count;
  for (const std::string& line : others.named)
    if (named.size() < most_named) named.push_back(line);
}

DocumentReader::DocumentReader(std::vector<std::filesystem::path> files, ReaderOptions options)
    : files_(std::move(files)), options_(std::move(options)) {
  for (const std::filesystem::path& file : files_) known_ending(file);
}

DocumentReader::~DocumentReader() = default;

bool DocumentReader::open_next_file() {
  if (next_file_ == files_.size()) return false;
  open_ = std::make_unique<OpenFile>(files_[next_file_++]);
  if (!options_.domain.empty()) open_->domain = options_.domain;
  return true;
}

void DocumentReader::close_file() {
  const std::int64_t bytes = open_->bytes->stored_bytes();
  sources_.push_back({.file = repair_utf8(open_->path.filename().string()),
                      .bytes = bytes,
                      .sha256 = open_->bytes->sha256()});
  finished_bytes_ += bytes;
  open_.reset();
}

bool DocumentReader::next(Document& document) {
  while (open_ || open_next_file()) {
    const bool found = open_->kind == SourceKind::lines ? next_line(document) : next_text(document);
    if (found) return true;
    close_file();
  }
  return false;
}

bool DocumentReader::next_line(Document& document) {
  std::string_view line;
  bool too_long = false;
  while (open_->take_line(options_.longest_line, line, too_long)) {
    if (!too_long && is_blank(line)) continue;
    document.domain = open_->domain;
    document.line = open_->line;
    const std::string fault = too_long
                                  ? concat("the line is longer than ", options_.longest_line,
                                           " bytes, which reading would have to hold in memory")
                                  : open_->parse(line, options_.longest_line, document);
    if (!fault.empty()) {
      std::string named = concat(open_->path.string(), ":", open_->line, ": ", fault);
      if (options_.bad_lines == BadLines::refuse)
        throw Error(named + "; mend the line, or leave such lines out with --skip-bad-lines",
                    ExitCode::bad_input);
      skipped_.add(std::move(named));
    } else if (document.text.empty()) {
      ++empty_;
    } else {
      return true;
    }
  }
  return false;
}

bool DocumentReader::next_text(Document& document) {
  const auto most = std::size_t(options_.longest_text);
  while (true) {
    while (open_->rest().size() <= most && open_->more()) {
    }
    const std::string_view rest = open_->rest();
    if (rest.empty()) return false;
    const std::size_t length = cut_of(rest, most);
    document.domain = open_->domain;
    document.text = repair_utf8(rest.substr(0, length));
    open_->used += length;
    if (!is_blank(document.text)) return true;
    ++empty_;
  }
}

std::int64_t DocumentReader::stored_bytes_read() const {
  return finished_bytes_ + (open_ ? open_->bytes->stored_bytes() : 0);
}

}  // namespace metascale
