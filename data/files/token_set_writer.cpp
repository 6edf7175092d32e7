#include "data/files/token_set_writer.hpp"

#include <limits>

#include "core/error.hpp"
#include "data/files/document_table.hpp"
#include "data/mapped_file.hpp"

namespace metascale {
namespace {

std::filesystem::path with_ending(std::filesystem::path stem, const char* ending) {
  return stem += ending;
}

void copy_all(const File& from, BufferedWriter& to) {
  std::vector<char> block(std::size_t(1) << 20);
  std::uint64_t offset = 0;
  while (const std::size_t count = from.read_some(block.data(), block.size(), offset)) {
    to.write(block.data(), count);
    offset += count;
  }
}

}  // namespace

TokenSetWriter::TokenSetWriter(const std::filesystem::path& stem, const Tokenizer& tokenizer,
                               const TokenSetMark& from)
    : stem_(stem),
      tokens_(stem, token_type_for(tokenizer.vocabulary()), from.tokens),
      records_(with_ending(stem, ".records"), from.records) {
  info_.tokenizer = tokenizer.name();
  info_.tokenizer_identity = tokenizer.identity();
  info_.vocabulary = tokenizer.vocabulary();
  info_.end_of_document = tokenizer.end_of_document();
  info_.type = token_type_for(tokenizer.vocabulary());
  info_.domains = from.domains;
  for (const DomainCount& domain : from.domains) {
    domains_.emplace(domain.name, std::uint16_t(domains_.size()));
    info_.documents += domain.documents;
    info_.tokens += domain.tokens;
    info_.bytes += domain.bytes;
  }
}

std::uint16_t TokenSetWriter::domain_index(const std::string& domain) {
  const auto [found, is_new] = domains_.try_emplace(domain, std::uint16_t(info_.domains.size()));
  if (is_new) info_.domains.push_back({.name = domain});
  if (info_.domains.size() > std::numeric_limits<std::uint16_t>::max())
    throw Error(concat(stem_.string(),
                       ": the source has more than 65535 domains; is pile_set_name "
                       "something else there?"),
                ExitCode::bad_input);
  return found->second;
}

void TokenSetWriter::add_tokens(std::span<const std::int32_t> ids) {
  tokens_.add_tokens(ids);
  document_tokens_ += std::int64_t(ids.size());
}

void TokenSetWriter::end_document(const std::string& domain, std::int64_t bytes) {
  if (bytes > std::int64_t(std::numeric_limits<std::uint32_t>::max()))
    throw Error(concat(stem_.string(), ": a document of ", bytes, " bytes is longer than 4 GiB"),
                ExitCode::bad_input);
  tokens_.end_sequence();
  tokens_.end_document();
  const std::uint16_t index = domain_index(domain);
  records_.number(std::uint32_t(bytes));
  records_.number(index);
  DomainCount& count = info_.domains[index];
  ++info_.documents, ++count.documents;
  info_.tokens += document_tokens_, count.tokens += document_tokens_;
  info_.bytes += bytes, count.bytes += bytes;
  document_tokens_ = 0;
}

void TokenSetWriter::add(std::span<const std::int32_t> ids, const std::string& domain,
                         std::int64_t bytes) {
  add_tokens(ids);
  end_document(domain, bytes);
}

TokenSetMark TokenSetWriter::mark() {
  return {.tokens = tokens_.mark(), .records = records_.mark(), .domains = info_.domains};
}

void TokenSetWriter::write_table() {
  BufferedWriter table(with_ending(stem_, ".documents"));
  table.write(document_table_magic, 8);
  table.number(std::uint64_t(1));
  table.number(std::uint64_t(info_.documents));
  table.number(std::uint64_t(info_.domains.size()));
  records_.flush();
  copy_all(records_.file(), table);
  table.close();
  info_.documents_sha256 = table.sha256();
}

TokenFileInfo TokenSetWriter::finish(const std::vector<SourceFile>& sources) {
  const TokenFileDigests digests = tokens_.finish();
  info_.bin_sha256 = digests.bin_sha256;
  info_.idx_sha256 = digests.idx_sha256;
  write_table();
  info_.sources = sources;
  info_.fingerprint = fingerprint_of(MappedFile(with_ending(stem_, ".bin")),
                                     MappedFile(with_ending(stem_, ".idx")));
  write_token_file_info(with_ending(stem_, ".json"), info_);
  return info_;
}

}  // namespace metascale
