// .documents: the domain and the raw bytes of each document of a token file; little endian:
//   8 bytes "MSDOCTAB", u64 version = 1, u64 documents, u64 domains, then per document u32 bytes,
//   u16 domain.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/mapped_file.hpp"

namespace metascale {

struct DocumentRecord {
  std::uint32_t bytes = 0;   // raw UTF-8, without the end of document
  std::uint16_t domain = 0;  // index into the .json's domains
};
inline constexpr std::int64_t document_record_bytes = 6;
inline constexpr std::int64_t document_table_header_bytes = 32;
inline constexpr char document_table_magic[9] = "MSDOCTAB";

// Throws Error{bad_input} unless header and size are those of a table of so many documents and
// domains.
void check_document_table(const MappedFile& table, const std::filesystem::path& path,
                          std::int64_t documents, std::int64_t domains);

DocumentRecord document_record(const MappedFile& table, std::int64_t document);

}  // namespace metascale
