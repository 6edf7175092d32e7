// The fixed windows that a model is evaluated on. T is the context.
//
// packed_windows: window w predicts tokens [w T + 1, w T + T] of the stream from [w T, w T + T -
// 1].
//   Windows do not overlap, together they predict every token but the first; the last one is filled
//   up with end-of-document tokens of weight 0.
// rolling_documents: each document for itself, as lm-eval's loglikelihood_rolling. The first window
//   predicts its first T tokens, from an end of document and the tokens before each; the following
//   ones T new tokens each, from the last token before them on. The last window of a document
//   longer than T is moved left so that it is full: what it repeats has weight 0. A shorter one is
//   filled up with end-of-document tokens of weight 0.
//
// Not scored (weight 0): the token that ends a document. Bytes: each scored token counts the raw
// bytes that it stands for by its tokenizer; where a document's raw bytes differ from the sum over
// its tokens (the tokenizer normalised the text), the difference goes to the last scored token of
// the document, so that documents inside the set count their exact raw bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/batches.hpp"
#include "data/tokenizer.hpp"

namespace metascale {

enum class EvaluationProtocol { packed_windows, rolling_documents };
// Throws Error{usage} naming what there is.
EvaluationProtocol parse_evaluation_protocol(const std::string& name);
const char* name_of(EvaluationProtocol protocol);

// What one document scores in one window: consecutive positions.
struct EvaluationSegment {
  std::int64_t window = 0;    // number of the window in the whole set
  std::int64_t document = 0;  // of the token file
  std::int32_t domain = 0;    // index into TokenFile::domains()
  std::int64_t first = 0;     // position of its first scored target in the window, 0..T-1
  std::int64_t tokens = 0;    // scored, at least 1
  std::int64_t bytes = 0;     // raw UTF-8 that they stand for
};

class EvaluationWindows {
 public:
  // count: how many windows, spread evenly over the set; 0: all. only: names of domains; the others
  // are not scored, and windows without a scored token are no part of the set; empty: all domains.
  // file must outlive this. Throws Error{bad_input} if file was made by another tokenizer, or holds
  // fewer than two tokens, Error{usage} if it has no such domain.
  EvaluationWindows(const TokenFile& file, const Tokenizer& tokenizer, std::int64_t context,
                    std::int64_t count = 0,
                    EvaluationProtocol protocol = EvaluationProtocol::packed_windows,
                    std::vector<std::string> only = {});
  EvaluationWindows(TokenFile&&, const Tokenizer&, std::int64_t, std::int64_t = 0,
                    EvaluationProtocol = EvaluationProtocol::packed_windows,
                    std::vector<std::string> = {}) = delete;

  std::int64_t size() const { return std::int64_t(windows_.size()); }  // chosen windows
  std::int64_t total() const { return total_; }                        // windows of the whole set
  std::int64_t context() const { return context_; }
  EvaluationProtocol protocol() const { return protocol_; }
  std::string coverage() const;  // "all", or "64 of 812 windows"; "all, only Books, ArXiv"
  // Of the chosen windows' ids, weights, domains and bytes: equal digests, equal evaluation sets.
  std::uint64_t digest() const { return digest_; }
  std::int64_t tokens() const { return tokens_; }  // scored
  std::int64_t bytes() const { return bytes_; }    // that they stand for
  const std::vector<std::string>& domains() const { return file_.domains(); }

  std::int64_t window(std::int64_t index) const { return windows_[std::size_t(index)].number; }
  // Chosen windows [first, first + batch.rows); rows behind the last one are filled with weight 0.
  void fill(std::int64_t first, const Batch& batch) const;

  // All segments in the order of windows and positions, and those of one chosen window.
  std::span<const EvaluationSegment> segments() const { return segments_; }
  std::span<const EvaluationSegment> segments_of(std::int64_t index) const;

 private:
  struct Window {
    std::int64_t number;      // in the whole set
    std::int64_t first = 0;   // token of the stream that it predicts first
    std::int64_t valid = 0;   // tokens that it predicts
    std::int64_t scored = 0;  // the first of them that is scored
    bool after_end = false;   // its first input is an end of document, not the token before first
  };
  void choose(std::int64_t count);
  void keep(const std::function<bool(std::size_t window, const EvaluationSegment&)>& is_kept);
  void keep_only(const std::vector<std::string>& names, std::int64_t count);
  void place_packed();
  void place_rolling();
  std::int64_t count_rolling() const;
  std::int64_t scored_tokens(std::int64_t document) const;  // without an end of document
  void build_segments(const Tokenizer& tokenizer);
  void count_scored();
  void fill_beginning(const Window& window, const Batch& batch, std::int64_t row) const;
  std::uint64_t digest_ids(std::uint64_t digest) const;
  std::uint64_t compute_digest() const;

  const TokenFile& file_;
  EvaluationProtocol protocol_;
  std::vector<std::string> only_;  // domains that are scored; empty: all
  std::int64_t context_ = 0, total_ = 0, tokens_ = 0, bytes_ = 0;
  std::int32_t padding_ = 0;
  std::uint64_t digest_ = 0;
  std::vector<Window> windows_;              // chosen, ascending
  std::vector<std::size_t> segment_begins_;  // one per chosen window, and the end
  std::vector<EvaluationSegment> segments_;
};

}  // namespace metascale
