#include "data/files/document_table.hpp"

#include <cstring>

#include "core/error.hpp"
#include "data/files/advice.hpp"

namespace metascale {

void check_document_table(const MappedFile& table, const std::filesystem::path& path,
                          std::int64_t documents, std::int64_t domains) {
  const auto refuse = [&](const std::string& what) {
    throw Error(concat(path.string(), ": ", what, make_token_files_anew), ExitCode::bad_input);
  };
  if (table.size() < document_table_header_bytes ||
      std::memcmp(table.data(), document_table_magic, 8) != 0)
    refuse("does not begin with the header of a document table: truncated or damaged");
  std::uint64_t numbers[3];  // version, documents, domains
  std::memcpy(numbers, table.data() + 8, sizeof numbers);
  if (numbers[0] != 1) refuse(concat("is of version ", numbers[0], "; only version 1 is known"));
  if (numbers[1] != std::uint64_t(documents) || numbers[2] != std::uint64_t(domains))
    refuse(concat("tells of ", numbers[1], " documents and ", numbers[2],
                  " domains, but the token file has ", documents, " and ", domains,
                  ": not of the same preparation"));
  const std::int64_t records = table.size() - document_table_header_bytes;
  if (records % document_record_bytes != 0 || records / document_record_bytes != documents)
    refuse(concat("has ", table.size(), " bytes, but ", documents, " documents take ",
                  document_table_header_bytes + documents * document_record_bytes,
                  ": truncated or damaged"));
}

DocumentRecord document_record(const MappedFile& table, std::int64_t document) {
  DocumentRecord record;
  const std::byte* from =
      table.data() + document_table_header_bytes + document * document_record_bytes;
  std::memcpy(&record.bytes, from, sizeof record.bytes);
  std::memcpy(&record.domain, from + sizeof record.bytes, sizeof record.domain);
  return record;
}

}  // namespace metascale
