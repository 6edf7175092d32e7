// Training, validation and test parts of a source.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace metascale {

enum class Split { train, validation, test };
inline constexpr std::array<Split, 3> all_splits{Split::train, Split::validation, Split::test};
const char* name_of(Split split);

// The files of each part, by the first name below source: it begins with the word train, val,
// valid, validation or test (train-000.jsonl.zst, val.jsonl.zst, train/00.jsonl.zst). Empty if no
// name does so, or only ones of train: then the source has no split of its own. Throws
// Error{bad_input} if only some do.
std::map<Split, std::vector<std::filesystem::path>> find_splits(
    const std::filesystem::path& source, const std::vector<std::filesystem::path>& files);

// A split by the text itself: in the order of bytes 8..15 of their SHA-256, the first documents are
// the validation part until it has its share of the bytes, the next ones the test part, the rest is
// for training. This is done within each domain of at least 100 documents and for all smaller
// domains together. Equal texts are in one part: those that the borders of their domains put into
// different ones are all for training. All documents are added, then asked for: two passes over the
// source.
class HashSplit {
 public:
  struct Shares {
    double validation = 0.03, test = 0.03;  // of the bytes
  };
  explicit HashSplit(const Shares& shares) : shares_(shares) {}
  // 16 bytes are kept of each. Throws Error{bad_input} above most_documents or most_domains.
  static constexpr std::int64_t most_documents = std::int64_t(1) << 23;
  static constexpr std::size_t most_domains = 65535;  // as many as token files can tell apart
  void add(std::string_view text, const std::string& domain);
  void finish();
  std::int64_t documents(Split split) const;  // after finish()
  Split of(std::string_view text, const std::string& domain) const;

  // After finish(): all of it as a text, and back. Throws Error{bad_input} where it is none.
  std::string to_text() const;
  static HashSplit from_text(const std::string& text);

 private:
  struct Entry {
    std::uint64_t key, bytes;
  };
  struct Borders {  // keys below validation, then keys below test, then train
    std::uint64_t validation = 0, test = 0;
    Split of(std::uint64_t key) const;
  };
  using Entries = std::vector<Entry>;
  Borders borders_of(Entries& entries) const;  // sorts them
  void find_torn(const std::vector<std::pair<const Entries*, Borders>>& groups);

  Shares shares_;
  std::int64_t documents_ = 0, validation_ = 0, test_ = 0;  // all; those held out
  std::map<std::string, Entries, std::less<>> entries_;
  std::map<std::string, Borders, std::less<>> borders_;  // of the domains that have their own
  Borders pool_;
  // Ascending: keys that the borders of their domains put into different parts.
  std::vector<std::uint64_t> torn_;
};

}  // namespace metascale
