// The .json beside a token file.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_text.hpp"
#include "data/files/advice.hpp"
#include "data/token_file.hpp"

namespace metascale {
namespace {

constexpr int schema = 1;
constexpr const char* format = "metascale token file";

using Json = nlohmann::ordered_json;

// One object of the file, which names file and key in every error and knows which keys were read.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) refuse("is not an object");
  }

  std::int64_t count(const char* key, std::int64_t least = 0) const {
    const Json& value = at(key);
    if (!value.is_number_integer() || value.get<std::int64_t>() < least)
      refuse(concat(key, " is ", value.dump(), ", not a whole number of at least ", least));
    return value.get<std::int64_t>();
  }
  std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) refuse(concat(key, " is ", value.dump(), ", not a text"));
    return value.get<std::string>();
  }
  const Json& list(const char* key) const {
    const Json& value = at(key);
    if (!value.is_array()) refuse(concat(key, " is not a list"));
    return value;
  }
  Reader object(const char* key) const { return Reader(at(key), concat(where_, ": ", key)); }
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(concat(where_, ": ", what, make_token_files_anew), ExitCode::bad_input);
  }

 private:
  const Json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) refuse(concat("has no key '", key, "'"));
    return *found;
  }
  const Json& object_;
  std::string where_;
};

TokenType parse_type(const Reader& reader) {
  const std::string name = reader.text("type");
  for (const TokenType type : {TokenType::u8, TokenType::i8, TokenType::i16, TokenType::i32,
                               TokenType::i64, TokenType::u16})
    if (name == name_of(type)) return type;
  reader.refuse(concat("type '", name, "' is none of u8, i8, i16, i32, i64, u16"));
}

void read_domains(const Reader& reader, const std::string& where, TokenFileInfo& info) {
  for (const Json& entry : reader.list("domains")) {
    const Reader domain(entry, concat(where, ": domains[", info.domains.size(), "]"));
    info.domains.push_back({.name = domain.text("name"),
                            .documents = domain.count("documents"),
                            .tokens = domain.count("tokens"),
                            .bytes = domain.count("bytes")});
  }
}

void read_sources(const Reader& reader, const std::string& where, TokenFileInfo& info) {
  for (const Json& entry : reader.list("sources")) {
    const Reader source(entry, concat(where, ": sources[", info.sources.size(), "]"));
    info.sources.push_back({.file = source.text("file"),
                            .bytes = source.count("bytes"),
                            .sha256 = source.text("sha256")});
  }
}

// The counts by domain must add up, or a page of results would.
void check_sums(const Reader& reader, const TokenFileInfo& info) {
  std::int64_t documents = 0, tokens = 0, bytes = 0;
  for (const DomainCount& domain : info.domains) {
    documents += domain.documents;
    tokens += domain.tokens;
    bytes += domain.bytes;
  }
  if (documents != info.documents || tokens != info.tokens || bytes != info.bytes)
    reader.refuse(concat("the domains add up to ", documents, " documents, ", tokens, " tokens, ",
                         bytes, " bytes, not to ", info.documents, ", ", info.tokens, ", ",
                         info.bytes));
}

}  // namespace

TokenFileInfo read_token_file_info(const std::filesystem::path& path) {
  const std::string where = path.string();
  const Json json = parse_ordered_json(read_file(path));
  if (json.is_discarded())
    throw Error(concat(where, ": is not JSON", make_token_files_anew), ExitCode::bad_input);
  const Reader reader(json, where);
  if (reader.text("format") != format)
    reader.refuse(concat("format is '", reader.text("format"), "', not '", format, "'"));
  if (reader.count("schema") != schema)
    reader.refuse(concat("is of schema ", reader.count("schema"), "; this program knows ", schema));
  TokenFileInfo info;
  const Reader tokenizer = reader.object("tokenizer");
  info.tokenizer = tokenizer.text("name");
  info.tokenizer_identity = tokenizer.text("identity");
  info.vocabulary = tokenizer.count("vocabulary", 1);
  const std::int64_t end = tokenizer.count("end_of_document");
  if (end >= info.vocabulary || info.vocabulary > (std::int64_t(1) << 31))
    tokenizer.refuse(
        concat("end_of_document ", end, " or vocabulary ", info.vocabulary, " is out of range"));
  info.end_of_document = std::int32_t(end);
  info.type = parse_type(reader);
  info.tokens = reader.count("tokens");
  info.documents = reader.count("documents");
  info.bytes = reader.count("bytes");
  read_domains(reader, where, info);
  check_sums(reader, info);
  read_sources(reader, where, info);
  const Reader digests = reader.object("sha256");
  info.bin_sha256 = digests.text("bin");
  info.idx_sha256 = digests.text("idx");
  info.documents_sha256 = digests.text("documents");
  info.fingerprint = reader.text("fingerprint");
  return info;
}

void write_token_file_info(const std::filesystem::path& path, const TokenFileInfo& info) {
  Json json;
  json["format"] = format;
  json["schema"] = schema;
  json["tokenizer"] = {{"name", info.tokenizer},
                       {"identity", info.tokenizer_identity},
                       {"vocabulary", info.vocabulary},
                       {"end_of_document", info.end_of_document}};
  json["type"] = name_of(info.type);
  json["tokens"] = info.tokens;
  json["documents"] = info.documents;
  json["bytes"] = info.bytes;
  json["domains"] = Json::array();
  for (const DomainCount& domain : info.domains)
    json["domains"].push_back({{"name", domain.name},
                               {"documents", domain.documents},
                               {"tokens", domain.tokens},
                               {"bytes", domain.bytes}});
  json["sources"] = Json::array();
  for (const SourceFile& source : info.sources)
    json["sources"].push_back(
        {{"file", source.file}, {"bytes", source.bytes}, {"sha256", source.sha256}});
  json["sha256"] = {
      {"bin", info.bin_sha256}, {"idx", info.idx_sha256}, {"documents", info.documents_sha256}};
  json["fingerprint"] = info.fingerprint;
  write_file_atomically(path, json.dump(1) + "\n");
}

}  // namespace metascale
