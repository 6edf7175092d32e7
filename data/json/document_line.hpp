// One line of a .jsonl file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "data/document_reader.hpp"

namespace metascale {

class DocumentLineParser {
 public:
  DocumentLineParser();
  ~DocumentLineParser();
  static constexpr std::size_t padding = 64;  // bytes that must be readable behind a line
  static constexpr std::size_t long_line = std::size_t(16)
                                           << 20;     // bytes: from here on each counts
  static constexpr std::size_t longest_domain = 256;  // bytes of its name

  // Fills text and, where the line names one, domain (else leaves it alone). Of a key that comes
  // twice the last counts, as in Python's json. Returns what is wrong with the line, or an empty
  // text.
  std::string parse(std::string_view line, Document& document);
  // The same for a line that is given away: it is freed before its text is copied, and no more than
  // twice its bytes are held, nothing of them afterwards. A line that has more than `most` bytes
  // when its invalid UTF-8 is repaired is wrong, and a long one of which 4 MiB are outside of
  // texts.
  std::string parse(std::string&& line, std::int64_t most, Document& document);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace metascale
