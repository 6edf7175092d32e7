// metascale data encode, metascale data decode: text to token ids and back.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <span>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "cli/command.hpp"
#include "core/file.hpp"
#include "data/document_reader.hpp"
#include "data/encoded_line.hpp"
#include "data/tokenizer.hpp"

namespace metascale {
namespace {

struct EncodeVerb {
  std::string tokenizer;
  std::string input = "-";
  std::int64_t longest = ReaderOptions().longest_line;
  bool jsonl = false;
};

// A file or standard input, with bounds: what never ends is refused, and an error of reading is no
// end. Who writes a line and waits for its ids gets them: read(2) takes what has come, where stdio
// would wait for more, and stdout is flushed before it.
class Input {
 public:
  explicit Input(const EncodeVerb& verb)
      : name_(verb.input == "-" ? "stdin" : verb.input), most_(std::size_t(verb.longest)) {
    if (verb.input == "-") return;
    std::error_code unexamined;  // of which opening tells
    if (std::filesystem::is_directory(verb.input, unexamined))
      throw Error(fmt::format("{}: is a folder; give a file in it", verb.input), ExitCode::usage);
    file_.reset(std::fopen(verb.input.c_str(), "rbe"));
    if (!file_)
      throw Error(fmt::format("{}: cannot be opened: {}; check the path and its permissions",
                              verb.input, std::generic_category().message(errno)),
                  ExitCode::usage);
    descriptor_ = ::fileno(file_.get());
  }
  const std::string& name() const { return name_; }
  std::int64_t lines() const { return lines_; }  // taken so far

  // The next line without its end, or false where there is none.
  bool take_line(std::string& line) {
    line.clear();
    for (;;) {
      if (used_ == buffer_.size() && !refill()) break;
      const std::size_t end = std::min(buffer_.find('\n', used_), buffer_.size());
      if (line.size() + (end - used_) > most_)
        throw Error(fmt::format("{}:{}: the line is longer than {} bytes; cut it, or give more "
                                "memory with --longest-line",
                                name_, lines_ + 1, most_),
                    ExitCode::bad_input);
      line.append(buffer_, used_, end - used_);
      used_ = std::min(end + 1, buffer_.size());
      if (end == buffer_.size()) continue;
      ++lines_;
      return true;
    }
    if (!line.empty()) ++lines_;
    return !line.empty();
  }

  std::string take_all() {
    std::string text;
    while (refill()) {
      if (text.size() + buffer_.size() > most_)
        throw Error(fmt::format("{}: is longer than {} bytes, and is held whole; cut it, or give "
                                "more memory with --longest-line",
                                name_, most_),
                    ExitCode::bad_input);
      text += buffer_;
    }
    return text;
  }

 private:
  bool refill() {
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "stdout");
    buffer_.resize(std::size_t(1) << 16);
    ssize_t got;
    do {
      got = ::read(descriptor_, buffer_.data(), buffer_.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) throw_io_error("read", name_, errno);
    buffer_.resize(std::size_t(got));
    used_ = 0;
    return got > 0;
  }

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string name_;
  std::size_t most_;
  std::unique_ptr<std::FILE, Close> file_;
  int descriptor_ = STDIN_FILENO;
  std::string buffer_;
  std::size_t used_ = 0;  // of buffer_
  std::int64_t lines_ = 0;
};

// Piece by piece: in words, ids take several times the memory of their text.
void write_ids(Input& input, const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  tokenizer.encode(input.take_all(), ids);
  constexpr std::size_t piece = 1 << 16;
  for (std::size_t first = 0; first < ids.size(); first += piece)
    fmt::print("{}{}", first ? " " : "",
               fmt::join(std::span(ids).subspan(first, std::min(piece, ids.size() - first)), " "));
  fmt::print("\n");
}

void write_text(Input& input, const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  std::istringstream words(input.take_all());
  for (std::string word; words >> word;) {
    const char* end = word.data() + word.size();
    std::int32_t id = 0;
    const auto [read_to, fault] = std::from_chars(word.data(), end, id);
    if (fault != std::errc() || read_to != end)
      throw Error(
          fmt::format("{}: word {} is no token id; ids are whole numbers with blanks between",
                      input.name(), ids.size() + 1),
          ExitCode::bad_input);
    ids.push_back(id);
  }
  const std::string text = tokenizer.decode(ids);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void write_lines(Input& input, const Tokenizer& tokenizer,
                 std::string (*convert)(const std::string&, const Tokenizer&)) {
  for (std::string line; input.take_line(line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      fmt::print("{}\n", convert(line, tokenizer));
    } catch (const Error& error) {
      throw Error(
          fmt::format("{}:{}: {}; mend the line", input.name(), input.lines(), error.what()),
          error.code);
    }
  }
}

ExitCode run_encode(const EncodeVerb& verb) {
  const auto tokenizer = make_tokenizer(verb.tokenizer);
  Input input(verb);
  verb.jsonl ? write_lines(input, *tokenizer, encode_line) : write_ids(input, *tokenizer);
  return ExitCode::good;
}

ExitCode run_decode(const EncodeVerb& verb) {
  const auto tokenizer = make_tokenizer(verb.tokenizer);
  Input input(verb);
  verb.jsonl ? write_lines(input, *tokenizer, decode_line) : write_text(input, *tokenizer);
  return ExitCode::good;
}

void add_options(CLI::App& verb, EncodeVerb& options, const char* input, const char* lines) {
  verb.add_option("input", options.input, input);
  verb.add_option("--tokenizer", options.tokenizer, "bytes, or the path of a tokenizer.json")
      ->required();
  verb.add_flag("--jsonl", options.jsonl, lines);
  verb.add_option("--longest-line", options.longest,
                  "bytes of a line, or of a text that is taken whole")
      ->check(CLI::PositiveNumber);
}

}  // namespace

void add_encode_verbs(CLI::App& data, Action& action) {
  const auto encode = std::make_shared<EncodeVerb>(), decode = std::make_shared<EncodeVerb>();
  CLI::App* verb =
      add_verb(data, action, "encode", "text to token ids",
               "metascale data encode --tokenizer 20B_tokenizer.json my.txt", encode, run_encode);
  add_options(*verb, *encode, "a text, whole [standard input]",
              "lines of {\"text\"} in, of {\"text\", \"ids\"} out");
  verb =
      add_verb(data, action, "decode", "token ids to text",
               "metascale data decode --tokenizer 20B_tokenizer.json ids.txt", decode, run_decode);
  add_options(*verb, *decode, "ids with blanks between [standard input]",
              "lines of {\"ids\"} in, of {\"text\", \"ids\"} out");
}

}  // namespace metascale
