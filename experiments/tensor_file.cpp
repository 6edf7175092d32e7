#include "experiments/tensor_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/bfloat16.hpp"

namespace metascale {
namespace {

// IEEE 754 binary16.
double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
  const double sign = bits >> 15 ? -1.0 : 1.0;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  if (exponent == 0x1f) return mantissa ? std::nan("") : sign * HUGE_VAL;
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

template <typename T, typename Convert>
std::vector<double> converted(const SafetensorsFile& file, const SafetensorsFile::Entry& entry,
                              Convert&& convert) {
  std::vector<T> raw(entry.bytes / sizeof(T));
  file.read(entry, raw.data(), entry.bytes);
  std::vector<double> values(raw.size());
  std::transform(raw.begin(), raw.end(), values.begin(), convert);
  return values;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& name,
                         const std::string& what) {
  throw Error(fmt::format("{}: tensor '{}' {}", path.string(), name, what), ExitCode::bad_input);
}

std::vector<std::int64_t> without_ones(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> rest = shape;
  std::erase(rest, 1);
  return rest;
}

}  // namespace

std::vector<double> read_values(const SafetensorsFile& file, const SafetensorsFile::Entry& entry,
                                const std::filesystem::path& path) {
  const auto plain = [](auto value) { return double(value); };
  std::vector<double> values;
  switch (entry.dtype) {
    case StoredDtype::f64: values = converted<double>(file, entry, plain); break;
    case StoredDtype::f32: values = converted<float>(file, entry, plain); break;
    case StoredDtype::bf16:
      values = converted<std::uint16_t>(file, entry, [](std::uint16_t bits) {
        return double(std::bit_cast<float>(std::uint32_t(bits) << 16));
      });
      break;
    case StoredDtype::f16: values = converted<std::uint16_t>(file, entry, half_to_double); break;
    case StoredDtype::i64:
    case StoredDtype::i32:
    case StoredDtype::u8:
    case StoredDtype::boolean:
      refuse(path, entry.name,
             fmt::format("is of {}, but weights are floating-point numbers; is it "
                         "a quantised model? Take the unquantised one",
                         name_of(entry.dtype)));
  }
  expect_finite(values, path, entry.name);
  return values;
}

void expect_finite(const std::vector<double>& values, const std::filesystem::path& path,
                   const std::string& name) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      refuse(path, name,
             fmt::format("holds {} at element {}; a model with such a value is damaged or diverged",
                         values[i], i));
}

void expect_stored_shape(const SafetensorsFile::Entry& entry, const std::filesystem::path& path,
                         const Shape& shape) {
  std::vector<std::int64_t> wanted;
  for (int axis = 0; axis < shape.rank; ++axis) wanted.push_back(shape[axis]);
  if (without_ones(entry.shape) != without_ones(wanted))
    refuse(path, entry.name,
           fmt::format("has shape ({}), but the model's is ({}); it belongs to "
                       "another model",
                       fmt::join(entry.shape, ", "), fmt::join(wanted, ", ")));
}

void read_tensor(const SafetensorsFile& file, const SafetensorsFile::Entry& entry,
                 const std::filesystem::path& path, const Tensor& target) {
  expect_stored_shape(entry, path, target.shape);
  const std::vector<double> values = read_values(file, entry, path);
  with_float_type(target.dtype, [&]<typename T>() {
    std::transform(values.begin(), values.end(), target.pointer<T>(),
                   [](double value) { return T(value); });
  });
}

}  // namespace metascale
