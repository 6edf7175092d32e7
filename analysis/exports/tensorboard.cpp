// TensorBoard's event files: records [length, masked CRC-32C of the length, data, masked CRC-32C of
// the data], each an Event of tensorflow/core/util/event.proto in the protocol buffers' wire
// format.
#include <bit>
#include <cstring>

#include "analysis/export.hpp"
#include "analysis/exports/scalars.hpp"
#include "core/hash.hpp"

namespace metascale {
namespace {

static_assert(std::endian::native == std::endian::little);

template <typename Number>
void append_raw(std::string& bytes, Number value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

void append_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += char(value | 0x80);
  bytes += char(value);
}

// Wire types of the protocol buffers' encoding.
enum class Wire : unsigned { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void append_key(std::string& bytes, unsigned field, Wire wire) {
  append_varint(bytes, field << 3 | unsigned(wire));
}

void append_bytes(std::string& bytes, unsigned field, const std::string& content) {
  append_key(bytes, field, Wire::bytes);
  append_varint(bytes, content.size());
  bytes += content;
}

// Event: wall_time = 1, step = 2, file_version = 3, summary = 5.
std::string event_of(double time, std::int64_t step) {
  std::string event;
  append_key(event, 1, Wire::fixed64), append_raw(event, time);
  append_key(event, 2, Wire::varint), append_varint(event, std::uint64_t(step));
  return event;
}

// Summary: value = 1; Summary.Value: tag = 1, simple_value = 2.
std::string summary_of(const ScalarRow& row) {
  std::string summary;
  for (const auto& [tag, number] : row.values) {
    std::string value;
    append_bytes(value, 1, tag);
    append_key(value, 2, Wire::fixed32), append_raw(value, float(number));
    append_bytes(summary, 1, value);
  }
  return summary;
}

std::uint32_t masked_crc(const std::string& bytes) {
  const std::uint32_t crc = crc32c(bytes.data(), bytes.size());
  return std::rotr(crc, 15) + 0xa282ead8u;
}

void append_record(std::string& file, const std::string& data) {
  std::string length;
  append_raw(length, std::uint64_t(data.size()));
  file += length;
  append_raw(file, masked_crc(length));
  file += data;
  append_raw(file, masked_crc(data));
}

}  // namespace

std::string tensorboard_events(const RunLog& log) {
  std::string file;
  bool first = true;
  each_scalar_row(log, [&](const ScalarRow& row) {
    if (first) {
      std::string version = event_of(row.time, 0);
      append_bytes(version, 3, "brain.Event:2");
      append_record(file, version);
      first = false;
    }
    std::string event = event_of(row.time, row.step);
    append_bytes(event, 5, summary_of(row));
    append_record(file, event);
  });
  return file;
}

}  // namespace metascale
