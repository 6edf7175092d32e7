// One line of a .jsonl file.
#pragma once

#include <memory>
#include <string>

#include "data/document_reader.hpp"

namespace metascale {

class DocumentLineParser {
 public:
  DocumentLineParser();
  ~DocumentLineParser();
  // Fills text and, where the line names one, domain (else leaves it alone). Returns what is wrong
  // with the line, or an empty text.
  std::string parse(const std::string& line, Document& document);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace metascale
