// A tokenizer turns text into token ids. Its identity says which ids mean what: files and models
// that were made with different identities do not belong together.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace metascale {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual std::string name() const = 0;         // without folders: "bytes", "20B_tokenizer.json"
  virtual std::string identity() const = 0;     // changes with any id of any text
  virtual std::int32_t vocabulary() const = 0;  // ids are below this
  virtual std::int32_t end_of_document() const = 0;  // the id that closes each document
  // Appends the ids of one document's text, without end_of_document(). Thread-safe.
  virtual void encode(std::string_view text, std::vector<std::int32_t>& ids) const = 0;
  // Where a long text can be cut: the largest 0 < length < text.size(), length <= most, for which
  // the ids of text are those of its first length bytes and then those of the rest; 0 where none is
  // known.
  virtual std::size_t cut(std::string_view text, std::size_t most) const;
  // Raw UTF-8 bytes that one token stands for; 0 for end_of_document(). Throws Error{bad_input} for
  // an id outside of the vocabulary.
  virtual std::int64_t byte_length(std::int32_t id) const = 0;
  virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
};

// name: "bytes" (ids 0..255 are bytes, 256 ends a document), or the path of a tokenizer.json
// [data/bpe_tokenizer.hpp]. Throws Error{usage} where it is neither, Error{bad_input} as
// read_bpe_tokenizer does.
std::unique_ptr<Tokenizer> make_tokenizer(const std::string& name);
bool is_built_in_tokenizer(const std::string& name);  // needs no file

}  // namespace metascale
