// Small token files with known contents.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/files/token_set_writer.hpp"
#include "data/tokenizer.hpp"
#include "tests/support/files.hpp"

namespace metascale::testing {

// domain and text of each document
using Texts = std::vector<std::pair<std::string, std::string>>;

inline std::filesystem::path write_token_set(const TemporaryFolder& folder, const std::string& name,
                                             const Texts& texts) {
  const auto tokenizer = make_tokenizer("bytes");
  TokenSetWriter writer(folder / name, *tokenizer);
  for (const auto& [domain, text] : texts) {
    std::vector<std::int32_t> ids;
    tokenizer->encode(text, ids);
    ids.push_back(tokenizer->end_of_document());
    writer.add(ids, domain, std::int64_t(text.size()));
  }
  writer.finish({});
  return folder / name;
}

// A stream of count tokens: texts of 1 to 40 bytes, of three domains by turns, none like another.
inline Texts some_texts(std::int64_t count) {
  Texts texts;
  std::int64_t tokens = 0;
  std::uint32_t state = 12345;
  while (tokens < count) {
    std::string text;
    const std::size_t length = 1 + (state >> 8) % 40;
    for (std::size_t i = 0; i < length; ++i) {
      state = state * 1664525u + 1013904223u;
      text += char('a' + (state >> 24) % 26);
    }
    texts.emplace_back(std::string(1, char('A' + texts.size() % 3)), text);
    tokens += std::int64_t(length) + 1;
  }
  return texts;
}

inline std::vector<std::int32_t> all_of(const TokenFile& file) {
  std::vector<std::int32_t> ids(std::size_t(file.tokens()));
  file.read(0, file.tokens(), ids.data());
  return ids;
}

}  // namespace metascale::testing
