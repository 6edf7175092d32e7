#include "data/token_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "data/files/advice.hpp"
#include "data/files/document_table.hpp"
#include "data/files/flat_layout.hpp"

namespace metascale {
namespace {

constexpr std::int64_t header_bytes = 34;  // magic 9, version 8, type 1, sequences 8, documents 8

struct TypeRow {
  TokenType type;
  const char* name;
  std::int64_t bytes;
  bool in_index;  // known to the .idx
};
constexpr std::array<TypeRow, 7> types{{{TokenType::u8, "u8", 1, true},
                                        {TokenType::i8, "i8", 1, true},
                                        {TokenType::i16, "i16", 2, true},
                                        {TokenType::i32, "i32", 4, true},
                                        {TokenType::i64, "i64", 8, true},
                                        {TokenType::u16, "u16", 2, true},
                                        {TokenType::u32, "u32", 4, false}}};

struct LayoutRow {
  TokenLayout layout;
  const char* name;
};
constexpr std::array<LayoutRow, 4> layouts{{{TokenLayout::megatron, "megatron"},
                                            {TokenLayout::llm_c, "llm.c"},
                                            {TokenLayout::raw_u16, "uint16"},
                                            {TokenLayout::raw_u32, "uint32"}}};

const TypeRow* find_type(int code) {
  for (const TypeRow& row : types)
    if (static_cast<int>(row.type) == code) return &row;
  return nullptr;
}

std::filesystem::path with_ending(std::filesystem::path stem, const char* ending) {
  return stem += ending;
}

// The .idx starts its numbers at byte 34, which is no multiple of their size: they are copied out.
template <typename Number>
Number number_at(const MappedFile& file, std::int64_t offset) {
  Number value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

// Copies and widens; returns the first place whose id is negative or not below limit, or count.
template <typename Stored>
std::int64_t widen(const std::byte* from, std::int64_t count, std::int64_t limit,
                   std::int32_t* out) {
  std::int64_t bad = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * std::int64_t(sizeof stored), sizeof stored);
    const std::int64_t id = stored;  // NOLINT(bugprone-signed-char-misuse): Megatron's int8
    bad += id < 0 || id >= limit;
    out[i] = static_cast<std::int32_t>(id);
  }
  if (bad == 0) return count;
  for (std::int64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * std::int64_t(sizeof stored), sizeof stored);
    if (std::int64_t(stored) < 0 || std::int64_t(stored) >= limit) return i;
  }
  return count;
}

std::int64_t widen(TokenType type, const std::byte* from, std::int64_t count, std::int64_t limit,
                   std::int32_t* out) {
  switch (type) {
    case TokenType::u8: return widen<std::uint8_t>(from, count, limit, out);
    case TokenType::i8: return widen<std::int8_t>(from, count, limit, out);
    case TokenType::i16: return widen<std::int16_t>(from, count, limit, out);
    case TokenType::i32: return widen<std::int32_t>(from, count, limit, out);
    case TokenType::i64: return widen<std::int64_t>(from, count, limit, out);
    case TokenType::u16: return widen<std::uint16_t>(from, count, limit, out);
    case TokenType::u32: return widen<std::uint32_t>(from, count, limit, out);
  }
  return 0;
}

void add_ends(Sha256& hash, const MappedFile& file) {
  constexpr std::int64_t mebibyte = 1 << 20;
  const std::int64_t size = file.size(), part = std::min(size, mebibyte);
  hash.update(&size, sizeof size);
  if (part == 0) return;
  hash.update(file.data(), std::size_t(part));
  hash.update(file.data() + size - part, std::size_t(part));
}

}  // namespace

std::int64_t size_of(TokenType type) { return find_type(static_cast<int>(type))->bytes; }
const char* name_of(TokenType type) { return find_type(static_cast<int>(type))->name; }
TokenType token_type_for(std::int64_t vocabulary) {
  return vocabulary < 65500 ? TokenType::u16 : TokenType::i32;
}

const char* name_of(TokenLayout layout) {
  for (const LayoutRow& row : layouts)
    if (row.layout == layout) return row.name;
  return "?";
}

TokenLayout parse_token_layout(const std::string& name) {
  for (const LayoutRow& row : layouts)
    if (name == row.name) return row.layout;
  throw Error(concat("there is no format '", name,
                     "' of token files; there are megatron, llm.c, uint16 and uint32"),
              ExitCode::usage);
}

std::filesystem::path token_file_stem(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  for (const char* known : {".bin", ".idx", ".json", ".documents"})
    if (ending == known) return std::filesystem::path(path).replace_extension();
  return path;
}

TokenFile::TokenFile(const std::filesystem::path& path) : TokenFile(path, Foreign{}) {}

TokenFile::TokenFile(const std::filesystem::path& path, const Foreign& foreign)
    : path_(token_file_stem(path)) {
  if (foreign.layout != TokenLayout::megatron) {
    bin_ = MappedFile(with_ending(path_, ".bin"));
    open_flat(foreign.layout);
  } else {
    idx_ = MappedFile(with_ending(path_, ".idx"));
    bin_ = MappedFile(with_ending(path_, ".bin"));
    open_index();
    check_sequences();
    check_document_index();
  }
  open_info(foreign);
}

void TokenFile::refuse(const char* ending, const std::string& what) const {
  throw Error(concat(path_.string(), ending, ": ", what, make_token_files_anew),
              ExitCode::bad_input);
}

void TokenFile::open_index() {
  if (idx_.size() < header_bytes)
    refuse(".idx", concat("has ", idx_.size(), " bytes, fewer than the ", header_bytes,
                          " of a header: truncated, or not a token index"));
  if (std::memcmp(idx_.data(), "MMIDIDX\0\0", 9) != 0)
    refuse(".idx", "does not begin with the magic MMIDIDX: not a Megatron token index");
  if (const auto version = number_at<std::uint64_t>(idx_, 9); version != 1)
    refuse(".idx", concat("is of version ", version, "; only version 1 is known"));
  const int code = number_at<std::uint8_t>(idx_, 17);
  const TypeRow* row = find_type(code);
  if (!row || !row->in_index)
    refuse(".idx", concat("has tokens of dtype code ", code,
                          "; token ids are 1 u8, 2 i8, 3 i16, 4 i32, 5 i64 or 8 u16"));
  type_ = row->type;
  width_ = row->bytes;
  const auto sequences = number_at<std::uint64_t>(idx_, 18);
  const auto documents = number_at<std::uint64_t>(idx_, 26);
  // Divided before anything is multiplied: the counts may be as large as they like.
  const auto left = std::uint64_t(idx_.size() - header_bytes);
  if (sequences > left / 12 || documents > (left - 12 * sequences) / 8 ||
      12 * sequences + 8 * documents != left)
    refuse(".idx", concat("has ", idx_.size(), " bytes, which is not what its counts of ",
                          sequences, " sequences and ", documents,
                          " document entries take (34 + 12 n + 8 d): truncated or damaged"));
  sequences_ = std::int64_t(sequences);
  stored_documents_ = std::int64_t(documents);
}

void TokenFile::open_flat(TokenLayout layout) {
  const FlatLayout flat = read_flat_layout(bin_, with_ending(path_, ".bin"), layout);
  type_ = flat.type;
  width_ = size_of(type_);
  header_ = flat.header;
  tokens_ = flat.tokens;
  flat_ = true;
  sequences_ = documents_ = tokens_ > 0 ? 1 : 0;
}

// One pass over the file, which also holds every id against the vocabulary.
void TokenFile::find_flat_documents() {
  constexpr std::int64_t block = 1 << 16;
  std::vector<std::int32_t> ids(static_cast<std::size_t>(std::min(block, tokens_)));
  for (std::int64_t first = 0; first < tokens_; first += block) {
    const std::int64_t count = std::min(block, tokens_ - first);
    read(first, count, ids.data());
    for (std::int64_t i = 0; i < count; ++i)
      if (ids[std::size_t(i)] == info_.end_of_document && first + i + 1 < tokens_)
        flat_begins_.push_back(first + i + 1);
  }
  documents_ += std::int64_t(flat_begins_.size());
}

// The sequences must follow each other without a gap, as every writer of this format leaves them:
// only then is the .bin one stream of tokens.
void TokenFile::check_sequences() {
  std::int64_t pointer = 0;
  for (std::int64_t sequence = 0; sequence < sequences_; ++sequence) {
    const auto size = number_at<std::int32_t>(idx_, header_bytes + 4 * sequence);
    const auto stored = number_at<std::int64_t>(idx_, header_bytes + 4 * sequences_ + 8 * sequence);
    if (size < 0)
      refuse(".idx", concat("sequence ", sequence, " has the negative size ", size, ": damaged"));
    if (stored < 0 || stored > bin_.size() || size * width_ > bin_.size() - stored)
      refuse(".idx", concat("sequence ", sequence, " (pointer ", stored, ", ", size * width_,
                            " bytes) ends behind the ", bin_.size(),
                            " bytes of the .bin: damaged, or of another .bin"));
    if (stored != pointer)
      refuse(".idx", concat("sequence ", sequence, " begins at byte ", stored,
                            ", but the one before it ends at ", pointer, ": damaged"));
    pointer += size * width_;
  }
  if (pointer != bin_.size())
    refuse(".bin", concat("has ", bin_.size(), " bytes, but its index tells of ", pointer,
                          ": they do not belong together, or one was not written to its end"));
  tokens_ = pointer / width_;
}

// GPT-NeoX's merge_file_ leaves only the first document in the index. Where it does not cover all
// sequences, each sequence is taken for a document.
void TokenFile::check_document_index() {
  bool covers = stored_documents_ > 0 && stored_document(0) == 0 &&
                stored_document(stored_documents_ - 1) == sequences_;
  bool single = stored_documents_ == sequences_ + 1;
  for (std::int64_t i = 1; covers && i < stored_documents_; ++i) {
    covers = stored_document(i - 1) <= stored_document(i);
    single = single && stored_document(i) == i;
  }
  sequences_are_documents_ = !covers || single;
  documents_ = sequences_are_documents_ ? sequences_ : stored_documents_ - 1;
}

void TokenFile::open_info(const Foreign& foreign) {
  const std::filesystem::path json = with_ending(path_, ".json");
  has_info_ = !flat_ && std::filesystem::exists(json);
  if (!has_info_) {
    info_.vocabulary = foreign.vocabulary;
    info_.end_of_document = foreign.end_of_document;
    domains_ = {"unnamed"};
    if (flat_ && info_.end_of_document >= 0) find_flat_documents();
    return;
  }
  info_ = read_token_file_info(json);
  const auto expect = [&](const char* key, auto stated, auto found) {
    if (stated != found)
      refuse(".json", concat(key, " is ", stated, ", but .bin and .idx have ", found,
                             ": they are not of the same preparation"));
  };
  expect("type", std::string(name_of(info_.type)), std::string(name_of(type_)));
  expect("tokens", info_.tokens, tokens_);
  expect("documents", info_.documents, documents_);
  expect("fingerprint", info_.fingerprint, fingerprint());
  for (const DomainCount& domain : info_.domains) domains_.push_back(domain.name);
  side_ = MappedFile(with_ending(path_, ".documents"));
  check_document_table(side_, with_ending(path_, ".documents"), documents_,
                       std::int64_t(domains_.size()));
}

void TokenFile::read(std::int64_t first, std::int64_t count, std::int32_t* out) const {
  if (count == 0) return;
  if (first < 0 || count < 0 || first > tokens_ || count > tokens_ - first)
    throw Error(concat(count, " tokens from ", first, " on of ", path_.string(),
                       " were asked for, but it has ", tokens_));
  const std::int64_t limit = info_.vocabulary > 0
                                 ? info_.vocabulary
                                 : std::int64_t(std::numeric_limits<std::int32_t>::max()) + 1;
  const std::int64_t good = widen(type_, bin_.data() + header_ + first * width_, count, limit, out);
  if (good != count)
    refuse(".bin", concat("the token at position ", first + good,
                          " is negative or not below the vocabulary of ", limit,
                          ": damaged, or made by another tokenizer"));
}

std::int64_t TokenFile::stored_document(std::int64_t index) const {
  return number_at<std::int64_t>(idx_, header_bytes + 12 * sequences_ + 8 * index);
}

std::int64_t TokenFile::sequence_begin(std::int64_t sequence) const {
  if (sequence == sequences_) return tokens_;
  if (flat_) return 0;
  return number_at<std::int64_t>(idx_, header_bytes + 4 * sequences_ + 8 * sequence) / width_;
}

std::int64_t TokenFile::document_begin(std::int64_t document) const {
  if (document == documents_) return tokens_;
  if (flat_) return document == 0 ? 0 : flat_begins_[std::size_t(document - 1)];
  return sequence_begin(sequences_are_documents_ ? document : stored_document(document));
}

std::int64_t TokenFile::document_of(std::int64_t token) const {
  if (token < 0 || token >= tokens_)
    throw Error(
        concat("token ", token, " of ", path_.string(), " was asked for, but it has ", tokens_));
  std::int64_t low = 0, high = documents_;  // the last document that begins at or before token
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (document_begin(middle) <= token ? low : high) = middle;
  }
  return low;
}

std::int32_t TokenFile::domain_of(std::int64_t document) const {
  if (!has_info_) return 0;
  const DocumentRecord record = document_record(side_, document);
  if (record.domain >= domains_.size())
    refuse(".documents", concat("document ", document, " is of domain ", record.domain,
                                ", but there are ", domains_.size(), ": damaged"));
  return record.domain;
}

std::int64_t TokenFile::bytes_of(std::int64_t document) const {
  return has_info_ ? std::int64_t(document_record(side_, document).bytes) : -1;
}

std::string fingerprint_of(const MappedFile& bin, const MappedFile& idx) {
  Sha256 hash;
  add_ends(hash, bin);
  add_ends(hash, idx);
  const auto digest = hash.finish();
  return to_hex(digest.data(), digest.size());
}

std::string TokenFile::fingerprint() const { return fingerprint_of(bin_, idx_); }

std::vector<std::int32_t> TokenFile::sequence(std::int64_t index) const {
  const std::int64_t begin = sequence_begin(index), end = sequence_begin(index + 1);
  std::vector<std::int32_t> ids(std::size_t(end - begin));
  read(begin, end - begin, ids.data());
  return ids;
}

std::vector<std::int64_t> TokenFile::stored_document_index() const {
  std::vector<std::int64_t> index(static_cast<std::size_t>(stored_documents_));
  for (std::int64_t i = 0; i < stored_documents_; ++i) index[std::size_t(i)] = stored_document(i);
  return index;
}

}  // namespace metascale
