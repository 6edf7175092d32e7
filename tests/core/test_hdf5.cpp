#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "core/hdf5.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

namespace {

std::string sample_file() {
  Hdf5Writer file("sample");
  file.create_group("/a");
  file.create_group("/a/b");
  std::vector<double> values;
  for (int i = 0; i < 20000; ++i) values.push_back(i * 0.5);
  file.write("/a/values", values);
  file.write("/a/floats", std::vector<float>{1.5f, -2.5f});
  file.write("/a/ints", std::vector<std::int32_t>{-1, 2});
  file.write("/a/flags", std::vector<std::uint8_t>{0, 1});
  file.write("/a/none", std::vector<std::int64_t>{});
  file.write_strings("/a/words", {"", "one", "zwei \xc3\xa4"});
  file.write_string("/text", "a text");
  file.attribute("/", "count", std::int64_t(-3));
  file.attribute("/a", "rate", 0.25);
  file.attribute("/a/values", "unit", std::string("nat"));
  return file.finish();
}

std::string refusal(const Hdf5Reader& file, void (*body)(const Hdf5Reader&)) {
  return error_of(ExitCode::bad_input, [&] { body(file); });
}

}  // namespace

TEST_CASE("an HDF5 file gives back what was written") {
  const std::string bytes = sample_file();
  const Hdf5Reader file("sample.h5", bytes);
  CHECK(file.groups() == std::vector<std::string>{"a"});
  CHECK(file.datasets() == std::vector<std::string>{"text"});
  CHECK(file.groups("/a") == std::vector<std::string>{"b"});
  CHECK(file.datasets("/a").size() == 6);
  CHECK(file.contains("/a/values"));
  CHECK(file.contains("a/b"));
  CHECK_FALSE(file.contains("/x/values"));
  CHECK(file.extents("/a/values") == std::vector<std::int64_t>{20000});
  CHECK(file.read<double>("/a/values")[19999] == 9999.5);
  CHECK(file.read<float>("/a/floats") == std::vector<float>{1.5f, -2.5f});
  CHECK(file.read<std::int32_t>("/a/ints") == std::vector<std::int32_t>{-1, 2});
  CHECK(file.read<std::uint8_t>("/a/flags") == std::vector<std::uint8_t>{0, 1});
  CHECK(file.read<std::int64_t>("/a/none").empty());
  CHECK(file.read_array("/a/floats").values == std::vector<double>{1.5, -2.5});
  CHECK(file.read_strings("/a/words") == std::vector<std::string>{"", "one", "zwei \xc3\xa4"});
  CHECK(file.read_string("/text") == "a text");
  CHECK(file.attribute_int("/", "count") == -3);
  CHECK(file.attribute_double("/a", "rate") == 0.25);
  CHECK(file.attribute_string("/a/values", "unit") == "nat");
  CHECK(file.attributes("/a") == std::vector<std::string>{"rate"});
}

TEST_CASE("a value is never narrowed or read as another kind") {
  const std::string bytes = sample_file();
  const Hdf5Reader file("sample.h5", bytes);
  CHECK_THAT(refusal(file, [](const auto& f) { f.template read<float>("/a/values"); }),
             Catch::Contains("sample.h5: /a/values: stored as float64, but 32-bit floats"));
  CHECK_THAT(refusal(file, [](const auto& f) { f.template read<std::uint64_t>("/a/ints"); }),
             Catch::Contains("stored as int32"));
  CHECK_THAT(refusal(file, [](const auto& f) { f.template read<double>("/a/words"); }),
             Catch::Contains("stored as string"));
  CHECK_THAT(refusal(file, [](const auto& f) { f.read_strings("/a/ints"); }),
             Catch::Contains("strings are expected"));
  CHECK_THAT(refusal(file, [](const auto& f) { f.attribute_int("/a", "rate"); }),
             Catch::Contains("an integer is expected"));
  CHECK(file.read<std::int64_t>("/a/ints") == std::vector<std::int64_t>{-1, 2});
}

TEST_CASE("what a file does not hold is named") {
  const std::string bytes = sample_file();
  const Hdf5Reader file("sample.h5", bytes);
  CHECK_THAT(refusal(file, [](const auto& f) { f.template read<double>("/a/loss"); }),
             Catch::Contains("sample.h5: /a/loss: cannot open this dataset"));
  CHECK_THAT(refusal(file, [](const auto& f) { f.attribute_string("/a", "unit"); }),
             Catch::Contains("/a@unit"));
  CHECK_THAT(refusal(file, [](const auto& f) { f.groups("/text"); }), Catch::Contains("/text"));
}

TEST_CASE("all that is read of a file has a limit, whatever its columns are packed to") {
  const std::string bytes = sample_file();
  const std::uint64_t values = 20000 * sizeof(double);
  REQUIRE(bytes.size() < values);
  const Hdf5Reader file("sample.h5", bytes, 2 * values + 3 * sizeof(std::string) + 10);
  CHECK(file.read<double>("/a/values").size() == 20000);
  CHECK(file.read_strings("/a/words").size() == 3);
  const std::string wanted = "take more memory than a file of";
  CHECK_THAT(refusal(Hdf5Reader("sample.h5", bytes, 2 * sizeof(std::string)),
                     [](const auto& f) { f.read_strings("/a/words"); }),
             Catch::Contains(wanted));
  CHECK(file.read_array("/a/values").values.size() == 20000);
  CHECK_THAT(
      refusal(file, [](const auto& f) { f.template read<double>("/a/values"); }),
      Catch::Contains("sample.h5: /a/values: its 20000 elements") && Catch::Contains(wanted));
  CHECK_THAT(refusal(file, [](const auto& f) { f.read_array("/a/values"); }),
             Catch::Contains(wanted));
  const std::uint64_t gib = std::uint64_t(1) << 30;
  CHECK(Hdf5Reader::most_memory(1000) == gib + 64'000);
  CHECK(Hdf5Reader::most_memory(Hdf5Reader::max_file_bytes) == 64 * gib);
}

TEST_CASE("two files may be read at once, and one written") {
  const std::string bytes = sample_file();
  const Hdf5Reader first("sample.h5", bytes), second("sample.h5", bytes);
  Hdf5Writer third("sample.h5");
  third.write("/x", first.read<float>("/a/floats"));
  CHECK(second.read<float>("/a/floats") == first.read<float>("/a/floats"));
  const std::string copy = third.finish();
  CHECK(Hdf5Reader("copy", copy).read<float>("/x").size() == 2);
}

TEST_CASE("every truncation of an HDF5 file is an Error") {
  const std::string bytes = sample_file();
  for (std::size_t size = 0; size < bytes.size(); size += 61)
    REQUIRE_THAT(error_of(ExitCode::bad_input,
                          [&] { Hdf5Reader("cut.h5", std::string_view(bytes).substr(0, size)); }),
                 Catch::StartsWith("cut.h5: "));
}
