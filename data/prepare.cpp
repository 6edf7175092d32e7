#include "data/prepare.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_text.hpp"
#include "core/run_lease.hpp"
#include "data/preparation/block_encoder.hpp"
#include "data/preparation/held_out.hpp"
#include "data/preparation/plan.hpp"
#include "data/preparation/work_folder.hpp"

namespace metascale {
namespace {

constexpr std::int64_t block_bytes = 8 << 20;  // of documents, tokenised together
// A state is synced and as long as the list of files, so one of thousands of small files is not
// saved behind each of them.
constexpr std::chrono::seconds longest_unsaved{5};

std::string words_of(const SkippedLines& skipped) {
  if (skipped.count == 0) return "";
  return concat("; bad lines skipped: ", skipped.count, ", the first: ", skipped.named.front());
}

// Reads one file from a document on, in blocks.
class FilePass {
 public:
  FilePass(const PrepareOptions& options, const PreparationUnit& unit)
      : reader_({unit.file}, options_for(options, unit)) {}
  // Passes over documents that were done before, and calls on_some now and then.
  template <typename Call>
  void skip(std::int64_t documents, Call&& on_some) {
    for (Document document; documents_ < documents && reader_.next(document);)
      if (++documents_ % 4096 == 0) on_some();
  }
  // The next documents, about block_bytes of memory, and the bytes of their texts; false at the
  // end.
  bool next(std::vector<Document>& block, std::int64_t& bytes) {
    block.clear();
    bytes = 0;
    while (bytes + std::int64_t(block.size() * sizeof(Document)) < block_bytes) {
      Document document;
      if (!reader_.next(document)) break;
      bytes += std::int64_t(document.text.size());
      block.push_back(std::move(document));
    }
    documents_ += std::int64_t(block.size());
    return !block.empty();
  }
  std::int64_t documents() const { return documents_; }
  const DocumentReader& reader() const { return reader_; }

 private:
  static ReaderOptions options_for(const PrepareOptions& options, const PreparationUnit& unit) {
    ReaderOptions own = options.reader;
    own.domain = unit.domain;
    return own;
  }
  DocumentReader reader_;
  std::int64_t documents_ = 0;
};

class Preparation {
 public:
  Preparation(const PrepareOptions& options, const Tokenizer& tokenizer)
      : options_(options),
        tokenizer_(tokenizer),
        plan_(make_plan(options, tokenizer)),
        work_(options.out),
        encoder_(tokenizer, options.threads) {}

  PrepareResult run() {
    work_.make();
    std::optional<RunLease> lease(std::in_place, work_.path());
    lease_ = &*lease;
    remove_unfinished_files(work_.path());
    try {
      if (!resume()) begin_anew();
      if (!work_.is_complete()) write_all();
    } catch (...) {
      lease.reset();
      if (!std::filesystem::exists(work_ / "state.json")) work_.remove();  // nothing to go on from
      throw;
    }
    PrepareResult result = move_out();
    lease.reset();
    work_.remove();
    return result;
  }

 private:
  // Takes up what an earlier process left; false where there is nothing that still stands.
  bool resume() {
    if (!std::filesystem::exists(work_ / "state.json")) return false;
    auto found = read_state(work_ / "state.json", plan_.identity + split_identity());
    if (!found) return false;
    const auto unchanged = [&](std::int64_t files) {
      return files <= std::int64_t(std::min(found->files.size(), plan_.stamps.size())) &&
             std::equal(plan_.stamps.begin(), plan_.stamps.begin() + files, found->files.begin());
    };
    if (!unchanged(found->now.files + (found->now.documents > 0))) found->now = found->file_begin;
    const bool refused_now =
        options_.reader.bad_lines == BadLines::refuse && found->now.counts.skipped.count > 0;
    if (!unchanged(found->now.files) || found->now.files + found->now.documents == 0 || refused_now)
      return false;
    if (work_.is_complete() && plan_.stamps != found->files) return false;
    state_ = std::move(*found);
    state_.files = plan_.stamps;
    resumed_ = true;
    if (!work_.is_complete()) open_writers();
    return true;
  }

  void begin_anew() {
    for (const auto& entry : std::filesystem::directory_iterator(work_.path()))
      if (const auto name = entry.path().filename(); name != "lease.json" && name != "split.json")
        std::filesystem::remove_all(entry.path());
    split_identity();
    state_ = {.identity = plan_.identity + split_identity(), .files = plan_.stamps};
    open_writers();
  }

  // The split by hash takes a pass of its own; it is kept for a process that goes on.
  std::string split_identity() {
    if (!plan_.by_hash) return "";
    if (split_) return sha256_hex(split_->to_text());
    const std::filesystem::path path = work_ / "split.json";
    nlohmann::json key = {plan_.identity};
    for (const SourceStamp& stamp : plan_.stamps)
      key.push_back(sha256_hex(concat(stamp.path, "|", stamp.bytes, "|", stamp.modified)));
    if (std::filesystem::exists(path)) {
      const auto json = parse_json(read_file(path));
      if (json.is_object() && json.value("key", nlohmann::json()) == key)
        split_ = HashSplit::from_text(json.value("split", ""));
    }
    if (!split_) {
      split_ = find_hash_split();
      write_file_atomically(path,
                            nlohmann::json{{"key", key}, {"split", split_->to_text()}}.dump());
    }
    return sha256_hex(split_->to_text());
  }

  HashSplit find_hash_split() {
    HashSplit split(options_.shares);
    PrepareProgress progress{.part = "splitting", .stored_total = total_stored()};
    std::int64_t finished = 0;
    SkippedLines skipped;
    for (const PreparationUnit& unit : plan_.units) {
      FilePass pass(options_, unit);
      std::vector<Document> block;
      for (std::int64_t bytes = 0; pass.next(block, bytes);) {
        for (const Document& document : block) split.add(document.text, document.domain);
        progress.documents += std::int64_t(block.size());
        progress.bytes += bytes;
        report(progress, finished + pass.reader().stored_bytes_read());
      }
      finished += pass.reader().stored_bytes_read();
      skipped.add(pass.reader().skipped());
    }
    if (progress.documents == 0)
      throw Error(concat(options_.source.string(), ": the corpus is empty: none of its ",
                         plan_.units.size(),
                         " files holds a document with text; give it documents: lines of JSON with "
                         "a \"text\", or files of text",
                         words_of(skipped)),
                  ExitCode::bad_input);
    split.finish();
    for (const Split part : plan_.parts)
      if (split.documents(part) == 0) refuse_little_text(part);
    return split;
  }

  [[noreturn]] void refuse_little_text(Split split) const {
    throw Error(
        concat(options_.source.string(), ": there is too little text for a ", name_of(split),
               " part of its own; give more documents, or files called train, "
               "validation and test"),
        ExitCode::bad_input);
  }

  void open_writers() {
    for (const Split split : plan_.parts)
      writers_[split] = std::make_unique<TokenSetWriter>(work_ / name_of(split), tokenizer_,
                                                         state_.now.parts[name_of(split)]);
    held_out_ = std::make_unique<HeldOutTexts>(work_ / "held-out", state_.now.held_out);
  }

  std::int64_t total_stored() const {
    std::int64_t total = 0;
    for (const SourceStamp& stamp : plan_.stamps) total += stamp.bytes;
    return total;
  }

  void report(PrepareProgress& progress, std::int64_t stored_bytes) {
    const auto now = std::chrono::steady_clock::now();
    if (now - renewed_ > std::chrono::seconds(20)) {
      lease_->renew();
      renewed_ = now;
    }
    progress.stored_bytes = stored_bytes;
    if (options_.progress) options_.progress(progress);
  }

  void write_all() {
    progress_ = {.part = "tokens", .stored_total = total_stored()};
    for (const auto& [name, part] : state_.now.parts)
      for (const DomainCount& domain : part.domains) {
        progress_.documents += domain.documents;
        progress_.bytes += domain.bytes;
      }
    progress_.begin_bytes = progress_.bytes;
    for (std::int64_t i = 0; i < state_.now.files; ++i)
      finished_bytes_ += plan_.stamps[std::size_t(i)].bytes;
    while (state_.now.files < std::int64_t(plan_.units.size()))
      read_file_into_parts(std::size_t(state_.now.files));
    save_between_files();  // what is complete stands beside a state that knows all of it
    check_parts();
    for (const Split split : plan_.parts) writers_.at(split)->finish(sources_of(split));
    work_.declare_complete(part_names());
  }

  void read_file_into_parts(std::size_t index) {
    const PreparationUnit& unit = plan_.units[index];
    FilePass pass(options_, unit);
    const auto tell = [&] {
      report(progress_, finished_bytes_ + pass.reader().stored_bytes_read());
    };
    pass.skip(state_.now.documents, tell);
    std::vector<Document> block;
    for (std::int64_t bytes = 0; pass.next(block, bytes);) {
      write_block(unit, block);
      state_.now.documents = pass.documents();
      progress_.documents += std::int64_t(block.size());
      progress_.bytes += bytes;
      tell();
      unsaved_bytes_ += bytes;
      bytes_since_file_begin_ += bytes;
      if (unsaved_bytes_ >= options_.shard_bytes) save();
    }
    state_.now.counts.skipped.add(pass.reader().skipped());
    state_.now.counts.empty += pass.reader().empty();
    const auto& sources = pass.reader().sources();
    state_.now.sources.insert(state_.now.sources.end(), sources.begin(), sources.end());
    state_.now.documents = 0;
    ++state_.now.files;
    finished_bytes_ += plan_.stamps[index].bytes;
    if (is_due_between_files()) save_between_files();
  }

  bool is_due_between_files() const {
    return bytes_since_file_begin_ >= options_.shard_bytes ||
           std::chrono::steady_clock::now() - saved_ >= longest_unsaved;
  }

  void save_between_files() {
    save();
    state_.file_begin = state_.now;
    bytes_since_file_begin_ = 0;
  }

  void write_block(const PreparationUnit& unit, std::vector<Document>& block) {
    std::erase_if(block, [&](const Document& document) {
      return is_held_out(unit, document) || is_too_long(unit, document);
    });
    TokenSetWriter* writer = nullptr;  // of the document whose pieces come
    encoder_.encode(block, [&](const Document& document, std::span<const std::int32_t> ids,
                               bool last) {
      if (!writer)
        writer = writers_.at(unit.split ? *unit.split : split_->of(document.text, document.domain))
                     .get();
      writer->add_tokens(ids);
      if (!last) return;
      writer->end_document(document.domain, std::int64_t(document.text.size()));
      writer = nullptr;
    });
  }

  bool is_held_out(const PreparationUnit& unit, const Document& document) {
    if (!unit.split) return false;  // a split by hash has equal texts in one part
    if (*unit.split == Split::train) {
      const bool found = held_out_->holds(document.text);
      state_.now.counts.duplicates += found;
      return found;
    }
    held_out_->add(document.text);
    return false;
  }

  bool is_too_long(const PreparationUnit& unit, const Document& document) {
    if (encoder_.can_encode(document.text)) return false;
    std::string named =
        concat(unit.file.string(), ":", document.line, ": the text of ", document.text.size(),
               " bytes has more than ", BlockEncoder::longest_uncut,
               " in a row without an end of line between two letters, and cannot "
               "be tokenised in bounded memory");
    if (options_.reader.bad_lines == BadLines::refuse)
      throw Error(named + "; cut it, or leave such documents out with --skip-bad-lines",
                  ExitCode::bad_input);
    state_.now.counts.skipped.add(std::move(named));
    return true;
  }

  void save() {
    for (auto& [split, writer] : writers_) state_.now.parts[name_of(split)] = writer->mark();
    state_.now.held_out = held_out_->mark();
    write_state(work_ / "state.json", state_);
    unsaved_bytes_ = 0;
    saved_ = std::chrono::steady_clock::now();
  }

  void check_parts() {
    for (const Split split : plan_.parts) {
      if (writers_.at(split)->documents() > 0) continue;
      std::filesystem::remove(work_ / "state.json");  // there is nothing to go on from
      if (plan_.by_hash) refuse_little_text(split);
      const auto unit = std::find_if(plan_.units.begin(), plan_.units.end(),
                                     [&](const auto& row) { return row.split == split; });
      throw Error(concat(unit->file.string(), ": there is no text for ", name_of(split),
                         ": no line of its files has a \"text\" that is not empty",
                         split == Split::train ? " and not in validation or test" : "",
                         "; give them documents with text", words_of(state_.now.counts.skipped)),
                  ExitCode::bad_input);
    }
  }

  std::vector<SourceFile> sources_of(Split split) const {
    std::vector<SourceFile> sources;
    for (std::size_t i = 0; i < plan_.units.size(); ++i)
      if (!plan_.units[i].split || *plan_.units[i].split == split)
        sources.push_back(state_.now.sources[i]);
    return sources;
  }

  std::vector<std::string> part_names() const {
    std::vector<std::string> names;
    for (const Split split : plan_.parts) names.emplace_back(name_of(split));
    return names;
  }

  PrepareResult move_out() {
    work_.move_out(part_names());
    const LineCounts& counts = state_.now.counts;
    PrepareResult result{.split_by_hash = plan_.by_hash,
                         .resumed = resumed_,
                         .passed_over = plan_.passed_over,
                         .skipped = counts.skipped,
                         .empty = counts.empty,
                         .duplicates = counts.duplicates};
    for (const Split split : plan_.parts) {
      const std::filesystem::path stem = options_.out / name_of(split);
      result.parts.push_back({split, stem, read_token_file_info(stem.string() + ".json")});
    }
    if (options_.find_overlap) find_overlaps(result);
    return result;
  }

  void find_overlaps(PrepareResult& result) {
    for (const PreparedPart& part : result.parts) {
      if (part.split == Split::train) continue;
      PrepareProgress progress{.part = concat("overlap of ", name_of(part.split))};
      const TokenFile train(options_.out / name_of(Split::train)), held_out(part.path);
      progress.stored_total = train.tokens();
      result.overlaps.push_back(
          find_overlap(train, held_out, tokenizer_,
                       {.threads = options_.threads,
                        .progress = [&](std::int64_t tokens) { report(progress, tokens); }}));
      result.overlaps.back().part = name_of(part.split);
    }
    write_file_atomically(options_.out / "overlap.json", to_json_text(result.overlaps));
  }

  const PrepareOptions& options_;
  const Tokenizer& tokenizer_;
  PreparationPlan plan_;
  WorkFolder work_;
  BlockEncoder encoder_;
  RunLease* lease_ = nullptr;
  std::chrono::steady_clock::time_point renewed_ = std::chrono::steady_clock::now();
  PreparationState state_;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
  std::int64_t unsaved_bytes_ = 0, bytes_since_file_begin_ = 0;  // of text
  std::int64_t finished_bytes_ = 0;  // of the files read to their end, as stored
  bool resumed_ = false;
  std::optional<HashSplit> split_;
  std::map<Split, std::unique_ptr<TokenSetWriter>> writers_;
  std::unique_ptr<HeldOutTexts> held_out_;
  PrepareProgress progress_;
};

}  // namespace

PrepareResult prepare(const PrepareOptions& options, const Tokenizer& tokenizer) {
  return Preparation(options, tokenizer).run();
}

}  // namespace metascale
