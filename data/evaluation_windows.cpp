#include "data/evaluation_windows.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/hash.hpp"

namespace metascale {
namespace {

void check_tokenizer(const TokenFile& file, const Tokenizer& tokenizer) {
  const std::string& made_by = file.info().tokenizer_identity;
  if (file.has_info() && made_by != tokenizer.identity())
    throw Error(concat(file.path().string(), ".json: was made by the tokenizer '", made_by,
                       "', but is to be evaluated with '", tokenizer.identity(),
                       "'; prepare the data again or name its tokenizer"),
                ExitCode::bad_input);
  if (file.vocabulary() > tokenizer.vocabulary())
    throw Error(concat(file.path().string(), ": has a vocabulary of ", file.vocabulary(),
                       ", but the tokenizer one of ", tokenizer.vocabulary()),
                ExitCode::bad_input);
}

// Adds up what is scored, window by window; documents and windows both ascend.
class SegmentBuilder {
 public:
  SegmentBuilder(const TokenFile& file, const Tokenizer& tokenizer)
      : file_(file), tokenizer_(tokenizer), end_id_(tokenizer.end_of_document()) {}

  // targets: the tokens [first, first + targets.size()) of the stream, which window predicts.
  void add(std::int64_t window, std::int64_t first, std::span<const std::int32_t> targets,
           std::vector<EvaluationSegment>& out) {
    const std::int64_t end = first + std::int64_t(targets.size());
    std::int64_t token = first;
    for (std::int64_t document = file_.document_of(first); token < end; ++document) {
      enter(document);
      const std::int64_t stop = std::min(scored_end_, end);
      EvaluationSegment segment{.window = window,
                                .document = document,
                                .domain = file_.domain_of(document),
                                .first = token - first,
                                .tokens = std::max<std::int64_t>(stop - token, 0)};
      for (std::int64_t t = token; t < stop; ++t)
        segment.bytes += tokenizer_.byte_length(targets[std::size_t(t - first)]);
      if (segment.tokens > 0 && stop == scored_end_) segment.bytes += correction_;
      if (segment.tokens > 0) out.push_back(segment);
      token = std::max(token, std::min(end, file_.document_begin(document + 1)));
    }
  }

 private:
  // Where a document's scored tokens end, and what its tokens do not say of its raw bytes.
  void enter(std::int64_t document) {
    if (document == document_) return;
    document_ = document;
    const std::int64_t begin = file_.document_begin(document);
    scored_end_ = file_.document_begin(document + 1);
    ids_.resize(std::size_t(scored_end_ - begin));
    file_.read(begin, scored_end_ - begin, ids_.data());
    if (!ids_.empty() && ids_.back() == end_id_) --scored_end_;
    correction_ = 0;
    if (file_.bytes_of(document) < 0) return;
    correction_ = file_.bytes_of(document);
    for (const std::int32_t id : ids_) correction_ -= tokenizer_.byte_length(id);
  }

  const TokenFile& file_;
  const Tokenizer& tokenizer_;
  std::int32_t end_id_;
  std::int64_t document_ = -1, scored_end_ = 0, correction_ = 0;
  std::vector<std::int32_t> ids_;
};

}  // namespace

EvaluationWindows::EvaluationWindows(const TokenFile& file, const Tokenizer& tokenizer,
                                     std::int64_t context, std::int64_t count)
    : file_(file), context_(context), padding_(tokenizer.end_of_document()) {
  if (context < 1 || count < 0)
    throw Error(
        concat("evaluation needs a context of at least 1 and no negative number of windows, "
               "not ",
               context, " and ", count),
        ExitCode::usage);
  if (file.tokens() < 2)
    throw Error(concat(file.path().string(), ": has ", file.tokens(),
                       " tokens, but evaluating takes two; give more text"),
                ExitCode::bad_input);
  check_tokenizer(file, tokenizer);
  total_ = (file.tokens() - 1 + context - 1) / context;
  choose(count);
  build_segments(tokenizer);
  digest_ = compute_digest();
}

// Chosen window i of k is the one in the middle of the i-th of k equal parts of the set.
void EvaluationWindows::choose(std::int64_t count) {
  const std::int64_t chosen = count == 0 ? total_ : std::min(count, total_);
  for (std::int64_t i = 0; i < chosen; ++i)
    windows_.push_back(std::int64_t(static_cast<__int128>(2 * i + 1) * total_ / (2 * chosen)));
}

void EvaluationWindows::build_segments(const Tokenizer& tokenizer) {
  SegmentBuilder builder(file_, tokenizer);
  std::vector<std::int32_t> targets;
  for (const std::int64_t window : windows_) {
    segment_begins_.push_back(segments_.size());
    const std::int64_t first = window * context_ + 1;
    targets.resize(std::size_t(std::min(context_, file_.tokens() - first)));
    file_.read(first, std::int64_t(targets.size()), targets.data());
    builder.add(window, first, targets, segments_);
  }
  segment_begins_.push_back(segments_.size());
  for (const EvaluationSegment& segment : segments_) {
    tokens_ += segment.tokens;
    bytes_ += segment.bytes;
  }
  if (tokens_ == 0)
    throw Error(concat(file_.path().string(), ": the ", size(), " chosen windows of context ",
                       context_, " hold no token to score; choose more windows"),
                ExitCode::bad_input);
}

std::string EvaluationWindows::coverage() const {
  return size() == total_ ? "all" : concat(size(), " of ", total_, " windows");
}

std::uint64_t EvaluationWindows::digest_ids(std::uint64_t digest) const {
  std::vector<std::int32_t> ids;
  for (const std::int64_t window : windows_) {
    const std::int64_t first = window * context_;
    ids.resize(std::size_t(std::min(context_ + 1, file_.tokens() - first)));
    file_.read(first, std::int64_t(ids.size()), ids.data());
    digest = xxh3_64(ids.data(), ids.size() * sizeof(std::int32_t), digest);
  }
  return digest;
}

std::uint64_t EvaluationWindows::compute_digest() const {
  const std::int64_t shape[] = {context_, total_, size()};
  std::uint64_t digest = digest_ids(xxh3_64(shape, sizeof shape));
  for (const EvaluationSegment& segment : segments_) {
    const std::int64_t row[] = {segment.window, segment.document, segment.first, segment.tokens,
                                segment.bytes};
    digest = xxh3_64(row, sizeof row, digest);
    const std::string& domain = domains()[std::size_t(segment.domain)];
    digest = xxh3_64(domain.data(), domain.size(), digest);
  }
  return digest;
}

void EvaluationWindows::fill(std::int64_t first, const Batch& batch) const {
  if (first < 0 || first > size() || batch.context != context_)
    throw Error(concat("evaluation windows from ", first, " of context ", batch.context,
                       " were asked for, but there are ", size(), " of context ", context_));
  for (std::int64_t row = 0; row < batch.rows; ++row) {
    const bool exists = first + row < size();
    const std::int64_t token = exists ? window(first + row) * context_ : file_.tokens();
    fill_row(file_, token, padding_, batch, row);
    if (!batch.weights) continue;
    float* weights = batch.weights + row * context_;
    std::fill_n(weights, context_, 0.0f);
    if (!exists) continue;
    for (const EvaluationSegment& segment : segments_of(first + row))
      std::fill_n(weights + segment.first, segment.tokens, 1.0f);
  }
}

std::span<const EvaluationSegment> EvaluationWindows::segments_of(std::int64_t index) const {
  const std::size_t begin = segment_begins_[std::size_t(index)];
  return std::span(segments_).subspan(begin, segment_begins_[std::size_t(index) + 1] - begin);
}

}  // namespace metascale
