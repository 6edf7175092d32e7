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

TokenSetWriter::TokenSetWriter(const std::filesystem::path& stem, const Tokenizer& tokenizer)
    : stem_(stem),
      tokens_(stem, token_type_for(tokenizer.vocabulary())),
      records_(with_ending(stem, ".records")),
      table_(with_ending(stem, ".documents")) {
  info_.tokenizer = tokenizer.name();
  info_.tokenizer_identity = tokenizer.identity();
  info_.vocabulary = tokenizer.vocabulary();
  info_.end_of_document = tokenizer.end_of_document();
  info_.type = token_type_for(tokenizer.vocabulary());
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

void TokenSetWriter::add(std::span<const std::int32_t> ids, const std::string& domain,
                         std::int64_t bytes) {
  if (bytes > std::int64_t(std::numeric_limits<std::uint32_t>::max()))
    throw Error(concat(stem_.string(), ": a document of ", bytes, " bytes is longer than 4 GiB"),
                ExitCode::bad_input);
  tokens_.add_sequence(ids);
  tokens_.end_document();
  const std::uint16_t index = domain_index(domain);
  records_.number(std::uint32_t(bytes));
  records_.number(index);
  const auto tokens = std::int64_t(ids.size());
  DomainCount& count = info_.domains[index];
  ++info_.documents, ++count.documents;
  info_.tokens += tokens, count.tokens += tokens;
  info_.bytes += bytes, count.bytes += bytes;
}

void TokenSetWriter::write_table_header() {
  table_.write(document_table_magic, 8);
  table_.number(std::uint64_t(1));
  table_.number(std::uint64_t(info_.documents));
  table_.number(std::uint64_t(info_.domains.size()));
}

TokenFileInfo TokenSetWriter::commit(const std::vector<SourceFile>& sources) {
  const TokenFileDigests digests = tokens_.finish();
  write_table_header();
  records_.flush();
  copy_all(records_.file(), table_);
  info_.bin_sha256 = digests.bin_sha256;
  info_.idx_sha256 = digests.idx_sha256;
  info_.documents_sha256 = table_.sha256();
  info_.sources = sources;
  // Without its .json a set is not taken for ours: it goes first and comes last.
  std::filesystem::remove(with_ending(stem_, ".json"));
  tokens_.commit();
  table_.commit();
  info_.fingerprint = fingerprint_of(MappedFile(with_ending(stem_, ".bin")),
                                     MappedFile(with_ending(stem_, ".idx")));
  write_token_file_info(with_ending(stem_, ".json"), info_);
  return info_;
}

}  // namespace metascale
