#include "core/safetensors.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/atomic_file.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

using Json = nlohmann::json;

struct DtypeName {
  StoredDtype dtype;
  const char* name;
  std::size_t bytes;
};
constexpr DtypeName dtype_names[] = {
    {StoredDtype::f64, "F64", 8},   {StoredDtype::f32, "F32", 4},     {StoredDtype::f16, "F16", 2},
    {StoredDtype::bf16, "BF16", 2}, {StoredDtype::i64, "I64", 8},     {StoredDtype::i32, "I32", 4},
    {StoredDtype::u8, "U8", 1},     {StoredDtype::boolean, "BOOL", 1}};

constexpr std::string_view metadata_key = "__metadata__";
constexpr std::uint64_t alignment = 8;                     // of the data's begin in the file
constexpr std::size_t block_bytes = std::size_t(8) << 20;  // written or hashed at once

const DtypeName& row_of(StoredDtype dtype) {
  return *std::find_if(std::begin(dtype_names), std::end(dtype_names),
                       [&](const DtypeName& row) { return row.dtype == dtype; });
}

// Number of elements times element_bytes, or false if that is no sensible number.
bool multiply(const std::vector<std::int64_t>& shape, std::uint64_t element_bytes,
              std::uint64_t& product) {
  product = element_bytes;
  for (const std::int64_t extent : shape) {
    if (extent < 0) return false;
    if (extent > 0 &&
        product > std::uint64_t(std::numeric_limits<std::int64_t>::max()) / std::uint64_t(extent))
      return false;
    product *= std::uint64_t(extent);
  }
  return true;
}

// The header's JSON. The data are laid out by falling element size, so that each is aligned, and by
// name.
std::string make_header(std::vector<StoredTensor>& tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    const std::size_t left = size_of(a.dtype), right = size_of(b.dtype);
    return left != right ? left > right : a.name < b.name;
  });
  Json header = Json::object();
  if (!metadata.empty()) header[metadata_key] = metadata;
  std::uint64_t offset = 0;
  for (const StoredTensor& tensor : tensors) {
    std::uint64_t bytes = 0;
    if (!multiply(tensor.shape, size_of(tensor.dtype), bytes) || header.contains(tensor.name) ||
        tensor.name == metadata_key)
      throw Error(concat("write_safetensors was given a tensor named '", tensor.name,
                         "' twice, or with a negative shape; names must be unique"));
    header[tensor.name] = {{"dtype", name_of(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump(-1, ' ', true, Json::error_handler_t::replace);
  text.append((alignment - text.size() % alignment) % alignment, ' ');
  return text;
}

// Parses with bounded depth and without doubled keys, which JSON readers otherwise let pass.
Json parse_strictly(const std::string& text) {
  std::vector<std::set<std::string>> keys;  // of the objects around the current place
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > 4) throw std::invalid_argument("the header is nested too deeply");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(value.get_ref<const std::string&>()).second)
      throw std::invalid_argument("the name '" + value.get<std::string>() + "' stands twice");
    return true;
  };
  Json header = Json::parse(text, watch, false);
  if (!header.is_object()) throw std::invalid_argument("the header is not a JSON object");
  return header;
}

std::uint64_t read_unsigned(const Json& value, const char* what) {
  // Non-negative integers of the text are always unsigned; 1.0, -1 and 1e99 are not.
  if (!value.is_number_unsigned())
    throw std::invalid_argument(std::string(what) + " is not a whole number of at most 64 bits");
  return value.get<std::uint64_t>();
}

StoredDtype read_dtype(const Json& value) {
  if (!value.is_string()) throw std::invalid_argument("dtype is not a string");
  const auto& name = value.get_ref<const std::string&>();
  for (const DtypeName& row : dtype_names)
    if (name == row.name) return row.dtype;
  throw std::invalid_argument("dtype '" + name +
                              "' is none of F64, F32, F16, BF16, I64, I32, U8, BOOL");
}

SafetensorsFile::Entry read_entry(const std::string& name, const Json& value,
                                  std::uint64_t data_begin, std::uint64_t data_bytes) {
  if (!value.is_object() || value.size() != 3 || !value.contains("dtype") ||
      !value.contains("shape") || !value.contains("data_offsets"))
    throw std::invalid_argument("it must have dtype, shape, data_offsets, and nothing else");
  const Json &shape = value["shape"], &offsets = value["data_offsets"];
  if (!shape.is_array() || !offsets.is_array() || offsets.size() != 2)
    throw std::invalid_argument("shape must be a list, data_offsets a list of two");
  SafetensorsFile::Entry entry{name, read_dtype(value["dtype"]), {}, 0, 0};
  for (const Json& extent : shape) {
    const std::uint64_t number = read_unsigned(extent, "an extent");
    if (number > std::uint64_t(std::numeric_limits<std::int64_t>::max()))
      throw std::invalid_argument("an extent is absurdly large");
    entry.shape.push_back(std::int64_t(number));
  }
  const std::uint64_t begin = read_unsigned(offsets[0], "data_offsets[0]");
  const std::uint64_t end = read_unsigned(offsets[1], "data_offsets[1]");
  if (begin > end || end > data_bytes)
    throw std::invalid_argument(concat("data_offsets are [", begin, ", ", end,
                                       "], but the file has ", data_bytes, " bytes of data"));
  std::uint64_t needed = 0;
  if (!multiply(entry.shape, size_of(entry.dtype), needed) || needed != end - begin)
    throw std::invalid_argument(concat("its shape does not fill its ", end - begin, " bytes"));
  entry.begin = data_begin + begin;
  entry.bytes = end - begin;
  return entry;
}

std::map<std::string, std::string> read_metadata(const Json& value) {
  if (!value.is_object()) throw std::invalid_argument("it is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) throw std::invalid_argument("'" + key + "' is not a string");
    metadata[key] = text.get_ref<const std::string&>();
  }
  return metadata;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error(concat(path.string(), ": ", what,
                     "; the file is damaged or no safetensors file: copy or make it anew"),
              ExitCode::bad_input);
}

}  // namespace

std::size_t size_of(StoredDtype dtype) { return row_of(dtype).bytes; }
const char* name_of(StoredDtype dtype) { return row_of(dtype).name; }

std::uint64_t StoredTensor::elements() const {
  std::uint64_t count = 1;
  for (const std::int64_t extent : shape) count *= std::uint64_t(extent);
  return count;
}

Hash128 write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                          const std::map<std::string, std::string>& metadata) {
  const std::string header = make_header(tensors, metadata);
  const std::uint64_t length = header.size();
  AtomicFile atomic(path);
  File file(atomic.temporary(), O_WRONLY | O_TRUNC);
  Xxh3 digest;
  const auto put = [&](const void* bytes, std::uint64_t count) {
    // Block by block, so that the digest finds the bytes in the cache.
    for (std::uint64_t done = 0; done < count; done += block_bytes) {
      const std::size_t part = std::size_t(std::min<std::uint64_t>(block_bytes, count - done));
      digest.update(static_cast<const char*>(bytes) + done, part);
      file.write(static_cast<const char*>(bytes) + done, part);
    }
  };
  put(&length, sizeof length);
  put(header.data(), header.size());
  for (const StoredTensor& tensor : tensors) put(tensor.data, tensor.bytes());
  file.close();
  atomic.commit();
  return digest.digest();
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path, Links links)
    : file_(open_to_read(path, links)) {
  const std::uint64_t size = file_.size();
  std::uint64_t length = 0;
  if (size < sizeof length) refuse(path, concat("it has only ", size, " bytes"));
  file_.read(&length, sizeof length, 0);
  if (length > max_header_bytes || length > size - sizeof length)
    refuse(path, concat("it claims a header of ", length, " bytes, but the file has ", size));
  std::string header(std::size_t(length), '\0');
  file_.read(header.data(), header.size(), sizeof length);
  try {
    parse(header, sizeof length + length);
    check_layout(sizeof length + length);
  } catch (const std::invalid_argument& error) {
    refuse(path, error.what());
  }
}

void SafetensorsFile::parse(const std::string& header, std::uint64_t data_begin) {
  const std::uint64_t data_bytes = file_.size() - data_begin;
  const Json parsed = parse_strictly(header);
  for (const auto& [name, value] : parsed.items()) {
    try {
      if (name == metadata_key)
        metadata_ = read_metadata(value);
      else
        entries_.push_back(read_entry(name, value, data_begin, data_bytes));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("tensor '" + name + "': " + error.what());
    }
  }
}

// Laid side by side, the tensors fill the data exactly.
void SafetensorsFile::check_layout(std::uint64_t data_begin) const {
  std::vector<const Entry*> by_place;
  for (const Entry& entry : entries_) by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(), [](const Entry* a, const Entry* b) {
    return a->begin != b->begin ? a->begin < b->begin : a->bytes < b->bytes;
  });
  std::uint64_t end = data_begin;
  for (const Entry* entry : by_place) {
    if (entry->begin != end)
      throw std::invalid_argument(
          concat("tensor '", entry->name, "' ",
                 entry->begin < end ? "overlaps the one before it" : "leaves a gap before it"));
    end += entry->bytes;
  }
  if (end != file_.size())
    throw std::invalid_argument(
        concat(file_.size() - end, " bytes at its end belong to no tensor"));
}

const SafetensorsFile::Entry* SafetensorsFile::find(const std::string& name) const {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), name,
      [](const Entry& entry, const std::string& wanted) { return entry.name < wanted; });
  return found != entries_.end() && found->name == name ? &*found : nullptr;
}

const SafetensorsFile::Entry& SafetensorsFile::at(const std::string& name) const {
  if (const Entry* entry = find(name)) return *entry;
  throw Error(concat(file_.path().string(), ": there is no tensor '", name, "' among its ",
                     entries_.size(), "; is it a file of another model?"),
              ExitCode::bad_input);
}

void SafetensorsFile::read(const Entry& entry, void* data, std::uint64_t bytes) const {
  if (bytes != entry.bytes)
    throw Error(concat(file_.path().string(), ": tensor '", entry.name, "' has ", entry.bytes,
                       " bytes, but ", bytes, " are expected; is it a file of another model?"),
                ExitCode::bad_input);
  file_.read(data, std::size_t(bytes), entry.begin);
}

Hash128 SafetensorsFile::digest() const {
  const std::uint64_t size = file_.size();
  std::string block(block_bytes, '\0');
  Xxh3 digest;
  for (std::uint64_t done = 0; done < size;) {
    const std::size_t part = std::size_t(std::min<std::uint64_t>(block_bytes, size - done));
    file_.read(block.data(), part, done);
    digest.update(block.data(), part);
    done += part;
  }
  return digest.digest();
}

}  // namespace metascale
