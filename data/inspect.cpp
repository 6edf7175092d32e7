#include "data/inspect.hpp"

#include <algorithm>
#include <bit>
#include <memory>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "data/tokenizer.hpp"
#include "data/utf8.hpp"

namespace metascale {
namespace {

constexpr std::int64_t block_tokens = 1 << 16;

std::filesystem::path with_ending(std::filesystem::path stem, const char* ending) {
  return stem += ending;
}

std::int64_t length_of(const TokenFile& file, std::int64_t document) {
  return file.document_begin(document + 1) - file.document_begin(document);
}

std::vector<DomainCount> count_domains(const TokenFile& file) {
  std::vector<DomainCount> domains;
  for (const std::string& name : file.domains())
    domains.push_back({.name = name, .bytes = file.has_info() ? 0 : -1});
  for (std::int64_t document = 0; document < file.documents(); ++document) {
    DomainCount& domain = domains[std::size_t(file.domain_of(document))];
    ++domain.documents;
    domain.tokens += length_of(file, document);
    if (file.has_info()) domain.bytes += file.bytes_of(document);
  }
  return domains;
}

std::vector<LengthBin> count_lengths(const TokenFile& file) {
  std::vector<LengthBin> bins;
  for (std::int64_t document = 0; document < file.documents(); ++document) {
    const auto bin = std::size_t(std::bit_width(std::uint64_t(length_of(file, document))));
    for (std::size_t next = bins.size(); next <= bin; ++next)
      bins.push_back({.least = next == 0 ? 0 : std::int64_t(1) << (next - 1),
                      .most = (std::int64_t(1) << next) - 1});
    ++bins[bin].documents;
  }
  return bins;
}

std::string beginning_of(const TokenFile& file, const Tokenizer& tokenizer, std::int64_t document,
                         std::int64_t bytes) {
  std::vector<std::int32_t> ids(std::size_t(std::min(length_of(file, document), bytes)));
  file.read(file.document_begin(document), std::int64_t(ids.size()), ids.data());
  if (!ids.empty() && ids.back() == file.end_of_document()) ids.pop_back();
  const std::string text = tokenizer.decode(ids);  // each token of text has at least one byte
  return repair_utf8(std::string_view(text).substr(0, character_border(text, std::size_t(bytes))));
}

// Nothing where it is not known.
std::unique_ptr<Tokenizer> tokenizer_of(const TokenFile& file, const InspectOptions& options) {
  const std::string& made_by = file.info().tokenizer;
  if (!file.has_info())
    return options.tokenizer.empty() ? nullptr : make_tokenizer(options.tokenizer);
  if (options.tokenizer.empty() && !is_built_in_tokenizer(made_by)) return nullptr;
  auto tokenizer = make_tokenizer(options.tokenizer.empty() ? made_by : options.tokenizer);
  if (tokenizer->identity() != file.info().tokenizer_identity)
    throw Error(concat(file.path().string(), ".json: was made by the tokenizer '",
                       file.info().tokenizer_identity, "', not by '", tokenizer->identity(), "'"),
                ExitCode::bad_input);
  return tokenizer;
}

std::vector<DocumentSample> take_samples(const TokenFile& file, const InspectOptions& options) {
  std::vector<DocumentSample> samples;
  const std::int64_t count = std::min(options.samples, file.documents());
  const auto tokenizer = tokenizer_of(file, options);
  if (!tokenizer) return samples;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t document = (2 * i + 1) * file.documents() / (2 * count);
    samples.push_back({.document = document,
                       .domain = file.domains()[std::size_t(file.domain_of(document))],
                       .tokens = length_of(file, document),
                       .text = beginning_of(file, *tokenizer, document, options.sample_bytes)});
  }
  return samples;
}

// Collects checks; a check is passed when it finds no fault and throws no Error.
class Verifier {
 public:
  template <typename Find>
  bool check(const std::string& what, Find&& find_fault) {
    std::string fault;
    try {
      fault = find_fault();
    } catch (const Error& error) {
      if (error.code == ExitCode::usage) throw;  // the file is not there: nothing was checked
      fault = error.what();
    }
    checks_.push_back({.what = what, .passed = fault.empty(), .fault = fault});
    return fault.empty();
  }
  std::vector<Check> take() { return std::move(checks_); }

 private:
  std::vector<Check> checks_;
};

std::string compare_digest(const std::filesystem::path& path, const std::string& stated) {
  const MappedFile file(path);
  Sha256 hash;
  hash.update(file.data(), std::size_t(file.size()));
  const auto digest = hash.finish();
  const std::string found = to_hex(digest.data(), digest.size());
  return found == stated ? "" : concat("is ", found, ", but the .json says ", stated);
}

std::string read_all_ids(const TokenFile& file) {
  std::vector<std::int32_t> ids(block_tokens);
  for (std::int64_t token = 0; token < file.tokens(); token += block_tokens)
    file.read(token, std::min(block_tokens, file.tokens() - token), ids.data());
  return "";
}

std::string find_unended_document(const TokenFile& file) {
  for (std::int64_t document = 0; document < file.documents(); ++document) {
    std::int32_t last = -1;
    if (length_of(file, document) > 0) file.read(file.document_begin(document + 1) - 1, 1, &last);
    if (last != file.end_of_document())
      return concat("document ", document, " ends with token ", last, ", not with ",
                    file.end_of_document());
  }
  return "";
}

std::string compare_domains(const TokenFile& file) {
  const std::vector<DomainCount> counted = count_domains(file);
  for (std::size_t i = 0; i < counted.size(); ++i) {
    const DomainCount &found = counted[i], &stated = file.info().domains[i];
    if (found.documents != stated.documents || found.tokens != stated.tokens ||
        found.bytes != stated.bytes)
      return concat(found.name, " has ", found.documents, " documents, ", found.tokens, " tokens, ",
                    found.bytes, " bytes, but the .json says ", stated.documents, ", ",
                    stated.tokens, ", ", stated.bytes);
  }
  return "";
}

}  // namespace

TokenFile open_foreign(const std::filesystem::path& path, const ForeignTokens& foreign) {
  if (foreign.tokenizer.empty()) return TokenFile(path, {.layout = foreign.layout});
  const auto tokenizer = make_tokenizer(foreign.tokenizer);
  return TokenFile(path, {.vocabulary = tokenizer->vocabulary(),
                          .end_of_document = tokenizer->end_of_document(),
                          .layout = foreign.layout});
}

Inspection inspect_token_file(const std::filesystem::path& path, const InspectOptions& options) {
  const TokenFile file = open_foreign(path, {options.layout, options.tokenizer});
  Inspection result{.info = file.info(),
                    .has_info = file.has_info(),
                    .tokens = file.tokens(),
                    .documents = file.documents(),
                    .domains = count_domains(file),
                    .lengths = count_lengths(file)};
  result.samples = take_samples(file, options);
  return result;
}

std::vector<Check> verify_token_file(const std::filesystem::path& path,
                                     const ForeignTokens& foreign) {
  const std::filesystem::path stem = token_file_stem(path);
  const std::string name = stem.filename().string();
  Verifier verifier;
  std::unique_ptr<TokenFile> file;
  const bool flat = foreign.layout != TokenLayout::megatron;
  const std::string what =
      flat ? "header and size of " : "header, sizes, pointers and document index of ";
  const bool opened = verifier.check(what + name, [&] {
    file = std::make_unique<TokenFile>(open_foreign(stem, foreign));
    return std::string();
  });
  if (!opened) return verifier.take();
  verifier.check("token ids of " + name + ".bin", [&] { return read_all_ids(*file); });
  if (!file->has_info()) return verifier.take();
  verifier.check("end of each document of " + name, [&] { return find_unended_document(*file); });
  verifier.check("counts by domain of " + name, [&] { return compare_domains(*file); });
  const TokenFileInfo& info = file->info();
  const std::pair<const char*, const std::string&> digests[] = {
      {".bin", info.bin_sha256}, {".idx", info.idx_sha256}, {".documents", info.documents_sha256}};
  for (const auto& digest : digests)
    verifier.check(concat("sha256 of ", name, digest.first),
                   [&] { return compare_digest(with_ending(stem, digest.first), digest.second); });
  return verifier.take();
}

}  // namespace metascale
