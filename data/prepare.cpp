#include "data/prepare.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <mutex>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"
#include "data/files/token_set_writer.hpp"

namespace metascale {
namespace {

constexpr std::int64_t block_bytes = 8 << 20;  // of text, tokenised together

struct Encoded {
  Document document;
  std::vector<std::int32_t> ids;
};

std::int64_t stored_total(const std::vector<std::filesystem::path>& files) {
  std::int64_t total = 0;
  for (const std::filesystem::path& file : files)
    total += std::int64_t(std::filesystem::file_size(file));
  return total;
}

// Reads all documents of some files in blocks and reports how far it is.
class Pass {
 public:
  Pass(const PrepareOptions& options, const std::vector<std::filesystem::path>& files,
       std::string part)
      : options_(options), reader_(files, options.reader) {
    progress_.part = std::move(part);
    progress_.stored_total = stored_total(files);
  }

  // The next documents, about block_bytes of text; false at the end.
  bool next(std::vector<Encoded>& block) {
    block.clear();
    std::int64_t bytes = 0;
    while (bytes < block_bytes) {
      Encoded encoded;
      if (!reader_.next(encoded.document)) break;
      bytes += std::int64_t(encoded.document.text.size());
      block.push_back(std::move(encoded));
    }
    progress_.documents += std::int64_t(block.size());
    progress_.bytes += bytes;
    progress_.stored_bytes = reader_.stored_bytes_read();
    if (options_.progress) options_.progress(progress_);
    return !block.empty();
  }
  const DocumentReader& reader() const { return reader_; }

 private:
  const PrepareOptions& options_;
  DocumentReader reader_;
  PrepareProgress progress_;
};

void encode(const Tokenizer& tokenizer, int threads, std::vector<Encoded>& block) {
  std::exception_ptr failure;  // an exception must not leave a parallel region
  std::mutex mutex;
  parallel_for(threads, std::int64_t(block.size()), [&](std::int64_t begin, std::int64_t end) {
    try {
      for (std::int64_t i = begin; i < end; ++i) {
        Encoded& encoded = block[std::size_t(i)];
        tokenizer.encode(encoded.document.text, encoded.ids);
        encoded.ids.push_back(tokenizer.end_of_document());
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

void add(TokenSetWriter& writer, const Encoded& encoded) {
  writer.add(encoded.ids, encoded.document.domain, std::int64_t(encoded.document.text.size()));
}

void count_lines(const DocumentReader& reader, PrepareResult& result) {
  result.skipped += reader.skipped();
  result.empty += reader.empty();
}

struct WrittenPart {
  Split split;
  std::unique_ptr<TokenSetWriter> writer;
  std::vector<SourceFile> sources;
};

// Only when all parts are complete do they take their names.
void commit(std::vector<WrittenPart>& parts, PrepareResult& result) {
  for (const WrittenPart& part : parts)
    result.parts.push_back({.split = part.split,
                            .path = part.writer->stem(),
                            .info = part.writer->commit(part.sources)});
}

void prepare_own_split(const PrepareOptions& options, const Tokenizer& tokenizer,
                       const std::map<Split, std::vector<std::filesystem::path>>& splits,
                       PrepareResult& result) {
  std::vector<WrittenPart> parts;
  for (const auto& [split, files] : splits) {
    Pass pass(options, files, name_of(split));
    auto writer = std::make_unique<TokenSetWriter>(options.out / name_of(split), tokenizer);
    std::vector<Encoded> block;
    while (pass.next(block)) {
      encode(tokenizer, options.threads, block);
      for (const Encoded& encoded : block) add(*writer, encoded);
    }
    if (writer->documents() == 0)
      throw Error(concat(files.front().string(), ": there is no text for ", name_of(split),
                         ": no line of its files has a \"text\" that is not empty"),
                  ExitCode::bad_input);
    count_lines(pass.reader(), result);
    parts.push_back({split, std::move(writer), pass.reader().sources()});
  }
  commit(parts, result);
}

HashSplit find_hash_split(const PrepareOptions& options,
                          const std::vector<std::filesystem::path>& files) {
  HashSplit split(options.shares);
  Pass pass(options, files, "splitting");
  std::vector<Encoded> block;
  bool any = false;
  while (pass.next(block)) {
    any = true;
    for (const Encoded& encoded : block) split.add(encoded.document.text, encoded.document.domain);
  }
  if (!any)
    throw Error(concat(options.source.string(), ": the corpus is empty: none of its ", files.size(),
                       " files holds a document with text"),
                ExitCode::bad_input);
  split.finish();
  return split;
}

void prepare_by_hash(const PrepareOptions& options, const Tokenizer& tokenizer,
                     const std::vector<std::filesystem::path>& files, PrepareResult& result) {
  const HashSplit split = find_hash_split(options, files);
  std::vector<WrittenPart> parts;
  for (const Split part : all_splits)
    parts.push_back(
        {part, std::make_unique<TokenSetWriter>(options.out / name_of(part), tokenizer), {}});
  Pass pass(options, files, "tokens");
  std::vector<Encoded> block;
  while (pass.next(block)) {
    encode(tokenizer, options.threads, block);
    for (const Encoded& encoded : block) {
      const Split part = split.of(encoded.document.text, encoded.document.domain);
      add(*parts[std::size_t(part)].writer, encoded);
    }
  }
  count_lines(pass.reader(), result);
  for (WrittenPart& part : parts) {
    part.sources = pass.reader().sources();
    if (part.writer->documents() == 0)
      throw Error(
          concat(options.source.string(), ": there is too little text for a ", name_of(part.split),
                 " part of its own; give more documents, or files "
                 "called train, validation and test"),
          ExitCode::bad_input);
  }
  commit(parts, result);
}

}  // namespace

PrepareResult prepare(const PrepareOptions& options, const Tokenizer& tokenizer) {
  const std::vector<std::filesystem::path> files = find_source_files(options.source);
  const auto parts = find_splits(options.source, files);
  std::filesystem::create_directories(options.out);
  remove_unfinished_files(options.out);
  PrepareResult result;
  result.split_by_hash = parts.empty();
  if (parts.empty())
    prepare_by_hash(options, tokenizer, files, result);
  else
    prepare_own_split(options, tokenizer, parts, result);
  return result;
}

}  // namespace metascale
