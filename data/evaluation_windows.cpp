#include "data/evaluation_windows.hpp"

#include <fmt/format.h>

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

  // targets: the tokens [first, first + targets.size()) of the stream, which window predicts at its
  // positions from `position` on.
  void add(std::int64_t window, std::int64_t position, std::int64_t first,
           std::span<const std::int32_t> targets, std::vector<EvaluationSegment>& out) {
    const std::int64_t end = first + std::int64_t(targets.size());
    std::int64_t token = first;
    for (std::int64_t document = file_.document_of(first); token < end; ++document) {
      enter(document);
      const std::int64_t stop = std::min(scored_end_, end);
      EvaluationSegment segment{.window = window,
                                .document = document,
                                .domain = file_.domain_of(document),
                                .first = position + token - first,
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

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

// Of the i-th of k equal parts of `total`.
std::int64_t middle_of(std::int64_t i, std::int64_t k, std::int64_t total) {
  return std::int64_t(static_cast<__int128>(2 * i + 1) * total / (2 * k));
}

}  // namespace

EvaluationProtocol parse_evaluation_protocol(const std::string& name) {
  for (const auto protocol :
       {EvaluationProtocol::packed_windows, EvaluationProtocol::rolling_documents})
    if (name == name_of(protocol)) return protocol;
  throw Error(concat("there is no evaluation protocol '", name,
                     "'; there are packed_windows and rolling_documents"),
              ExitCode::usage);
}

const char* name_of(EvaluationProtocol protocol) {
  switch (protocol) {
    case EvaluationProtocol::packed_windows: return "packed_windows";
    case EvaluationProtocol::rolling_documents: return "rolling_documents";
  }
  return "?";
}

EvaluationWindows::EvaluationWindows(const TokenFile& file, const Tokenizer& tokenizer,
                                     std::int64_t context, std::int64_t count,
                                     EvaluationProtocol protocol, std::vector<std::string> only)
    : file_(file),
      protocol_(protocol),
      only_(std::move(only)),
      context_(context),
      padding_(tokenizer.end_of_document()) {
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
  const bool packed = protocol == EvaluationProtocol::packed_windows;
  total_ = packed ? (file.tokens() - 1 + context - 1) / context : count_rolling();
  choose(only_.empty() ? count : 0);
  packed ? place_packed() : place_rolling();
  build_segments(tokenizer);
  if (!only_.empty()) keep_only(only_, count);
  count_scored();
  digest_ = compute_digest();
}

// Chosen window i of k is the one in the middle of the i-th of k equal parts of the set.
void EvaluationWindows::choose(std::int64_t count) {
  const std::int64_t chosen = count == 0 ? total_ : std::min(count, total_);
  for (std::int64_t i = 0; i < chosen; ++i) windows_.push_back({middle_of(i, chosen, total_)});
}

// Chosen are the windows of which something is left.
void EvaluationWindows::keep(
    const std::function<bool(std::size_t window, const EvaluationSegment&)>& is_kept) {
  std::vector<Window> windows;
  std::vector<std::size_t> begins;
  std::vector<EvaluationSegment> segments;
  for (std::size_t i = 0; i < windows_.size(); ++i) {
    const std::size_t begin = segments.size();
    for (const EvaluationSegment& segment : segments_of(std::int64_t(i)))
      if (is_kept(i, segment)) segments.push_back(segment);
    if (segments.size() == begin) continue;
    windows.push_back(windows_[i]);
    begins.push_back(begin);
  }
  begins.push_back(segments.size());
  windows_ = std::move(windows);
  segment_begins_ = std::move(begins);
  segments_ = std::move(segments);
}

void EvaluationWindows::keep_only(const std::vector<std::string>& names, std::int64_t count) {
  const auto is_in = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const std::string& name : names)
    if (!is_in(domains(), name))
      throw Error(concat(file_.path().string(), ": has no domain '", name, "', only ",
                         joined(domains()), "; name some of these"),
                  ExitCode::usage);
  keep([&](std::size_t, const EvaluationSegment& segment) {
    return is_in(names, domains()[std::size_t(segment.domain)]);
  });
  total_ = size();
  std::vector<bool> is_chosen(windows_.size());
  const std::int64_t chosen = count == 0 ? total_ : std::min(count, total_);
  for (std::int64_t i = 0; i < chosen; ++i)
    is_chosen[std::size_t(middle_of(i, chosen, total_))] = true;
  keep([&](std::size_t window, const EvaluationSegment&) { return is_chosen[window]; });
}

void EvaluationWindows::place_packed() {
  for (Window& window : windows_) {
    window.first = window.number * context_ + 1;
    window.valid = std::min(context_, file_.tokens() - window.first);
  }
}

std::int64_t EvaluationWindows::scored_tokens(std::int64_t document) const {
  const std::int64_t end = file_.document_begin(document + 1);
  const std::int64_t tokens = end - file_.document_begin(document);
  std::int32_t last = -1;
  if (tokens > 0) file_.read(end - 1, 1, &last);
  return tokens - (last == padding_);
}

std::int64_t EvaluationWindows::count_rolling() const {
  std::int64_t count = 0;
  for (std::int64_t document = 0; document < file_.documents(); ++document)
    count += (scored_tokens(document) + context_ - 1) / context_;
  return count;
}

void EvaluationWindows::place_rolling() {
  std::int64_t before = 0;  // windows of the documents so far
  auto window = windows_.begin();
  for (std::int64_t document = 0; window != windows_.end(); ++document) {
    const std::int64_t tokens = scored_tokens(document), begin = file_.document_begin(document);
    const std::int64_t count = (tokens + context_ - 1) / context_;
    for (; window != windows_.end() && window->number < before + count; ++window) {
      const std::int64_t done = (window->number - before) * context_;
      window->valid = std::min(context_, tokens);
      window->after_end = done == 0;
      window->scored = std::max<std::int64_t>(0, done + window->valid - tokens);
      window->first = begin + done - window->scored;
    }
    before += count;
  }
}

void EvaluationWindows::build_segments(const Tokenizer& tokenizer) {
  SegmentBuilder builder(file_, tokenizer);
  std::vector<std::int32_t> targets;
  for (const Window& window : windows_) {
    segment_begins_.push_back(segments_.size());
    targets.resize(std::size_t(window.valid - window.scored));
    file_.read(window.first + window.scored, std::int64_t(targets.size()), targets.data());
    builder.add(window.number, window.scored, window.first + window.scored, targets, segments_);
  }
  segment_begins_.push_back(segments_.size());
}

void EvaluationWindows::count_scored() {
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
  const std::string text = size() == total_ ? "all" : concat(size(), " of ", total_, " windows");
  return only_.empty() ? text : text + ", only " + joined(only_);
}

std::uint64_t EvaluationWindows::digest_ids(std::uint64_t digest) const {
  std::vector<std::int32_t> ids;
  for (const Window& window : windows_) {
    ids.assign(std::size_t(window.valid) + 1, padding_);
    const std::int64_t before = window.after_end ? 0 : 1;
    file_.read(window.first - before, window.valid + before, ids.data() + 1 - before);
    digest = xxh3_64(ids.data(), ids.size() * sizeof(std::int32_t), digest);
  }
  return digest;
}

std::uint64_t EvaluationWindows::compute_digest() const {
  const std::int64_t shape[] = {context_, total_, size()};
  std::uint64_t digest = digest_ids(xxh3_64(shape, sizeof shape, std::uint64_t(protocol_)));
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
    if (!exists)
      fill_row(file_, file_.tokens(), padding_, batch, row);
    else if (const Window& window = windows_[std::size_t(first + row)]; window.after_end)
      fill_beginning(window, batch, row);
    else
      fill_row(file_, window.first - 1, padding_, batch, row);
    if (!batch.weights) continue;
    float* weights = batch.weights + row * context_;
    std::fill_n(weights, context_, 0.0f);
    if (!exists) continue;
    for (const EvaluationSegment& segment : segments_of(first + row))
      std::fill_n(weights + segment.first, segment.tokens, 1.0f);
  }
}

// A document's first window. The end of document before it is a segment of its own, as in packed
// windows, where that ends another document; so is what is behind it.
void EvaluationWindows::fill_beginning(const Window& window, const Batch& batch,
                                       std::int64_t row) const {
  const std::int64_t begin = row * context_, valid = window.valid;
  if (batch.tokens) {
    std::fill_n(batch.tokens + begin, context_, padding_);
    file_.read(window.first, valid - 1, batch.tokens + begin + 1);
  }
  if (batch.targets) {
    std::fill_n(batch.targets + begin, context_, padding_);
    file_.read(window.first, valid, batch.targets + begin);
  }
  if (batch.segment_ids) {
    std::int32_t* ids = batch.segment_ids + begin;
    ids[0] = 0;
    std::fill(ids + 1, ids + valid, 1);
    std::fill(ids + valid, ids + context_, valid > 1 ? 2 : 1);
  }
}

std::span<const EvaluationSegment> EvaluationWindows::segments_of(std::int64_t index) const {
  const std::size_t begin = segment_begins_[std::size_t(index)];
  return std::span(segments_).subspan(begin, segment_begins_[std::size_t(index) + 1] - begin);
}

}  // namespace metascale
