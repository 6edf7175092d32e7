// One line of a .jsonl file.
#pragma once

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
  // Fills text and, where the line names one, domain (else leaves it alone). Of a key that comes
  // twice the last counts, as in Python's json. Returns what is wrong with the line, or an empty
  // text. Memory is in proportion to the line's, and given back after a long one.
  std::string parse(std::string_view line, Document& document);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace metascale
