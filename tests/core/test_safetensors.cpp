#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "core/safetensors.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

namespace {

std::string with_header(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

// What the reader says about a file of these bytes; "" if it takes it.
std::string complaint(const std::string& bytes) {
  const TemporaryFolder folder;
  write_bytes(folder / "model.safetensors", bytes);
  return error_of(ExitCode::bad_input, [&] { SafetensorsFile file(folder / "model.safetensors"); });
}

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

struct Sample {
  std::vector<double> doubles = {1.0, -0.0, std::numeric_limits<double>::quiet_NaN()};
  std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  std::vector<std::uint16_t> halves = {0x3f80, 0x7fc0};
  std::vector<std::int64_t> longs = {-1, std::numeric_limits<std::int64_t>::max()};
  std::vector<std::int32_t> ints = {7};
  std::vector<std::uint8_t> bytes = {1, 2, 3};

  std::vector<StoredTensor> tensors() const {
    return {{"weights", StoredDtype::f32, {2, 3}, floats.data()},
            {"bytes", StoredDtype::u8, {3}, bytes.data()},
            {"truth", StoredDtype::f64, {3}, doubles.data()},
            {"halves", StoredDtype::bf16, {2, 1}, halves.data()},
            {"longs", StoredDtype::i64, {2}, longs.data()},
            {"empty", StoredDtype::f32, {0, 5}, nullptr},
            {"scalar", StoredDtype::i32, {}, ints.data()}};
  }
};

}  // namespace

TEST_CASE("safetensors come back bit for bit, NaN as well") {
  const TemporaryFolder folder;
  const Sample sample;
  const auto path = folder / "model.safetensors";
  const Hash128 digest = write_safetensors(path, sample.tensors(), {{"step", "12"}, {"a\"", "\n"}});
  const SafetensorsFile file(path);
  CHECK(file.digest() == digest);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"step", "12"}, {"a\"", "\n"}});
  REQUIRE(file.entries().size() == 7);
  for (const StoredTensor& tensor : sample.tensors()) {
    const SafetensorsFile::Entry& entry = file.at(tensor.name);
    CHECK(entry.dtype == tensor.dtype);
    CHECK(entry.shape == tensor.shape);
    CHECK(entry.begin % size_of(entry.dtype) == 0);
    std::string data(tensor.bytes(), '?');
    file.read(entry, data.data(), data.size());
    CHECK(data == std::string(static_cast<const char*>(tensor.data), tensor.bytes()));
  }
}

TEST_CASE("equal tensors in any order give equal safetensors files") {
  const TemporaryFolder folder;
  const Sample sample;
  std::vector<StoredTensor> reversed = sample.tensors();
  std::reverse(reversed.begin(), reversed.end());
  write_safetensors(folder / "a", sample.tensors(), {});
  write_safetensors(folder / "b", reversed, {});
  CHECK(read_bytes(folder / "a") == read_bytes(folder / "b"));
}

TEST_CASE("a missing tensor or one of another size is named") {
  const TemporaryFolder folder;
  const Sample sample;
  write_safetensors(folder / "model", sample.tensors(), {});
  const SafetensorsFile file(folder / "model");
  float one;
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { file.at("head"); }), Catch::Contains("'head'"));
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { file.read(file.at("weights"), &one, 4); }),
             Catch::Contains("'weights' has 24 bytes, but 4 are expected"));
  CHECK(file.find("weight") == nullptr);
}

TEST_CASE("two tensors of one name are refused at writing") {
  const TemporaryFolder folder;
  const float x = 1;
  const StoredTensor tensor{"x", StoredDtype::f32, {1}, &x};
  CHECK_THROWS_AS(write_safetensors(folder / "model", {tensor, tensor}, {}), Error);
  CHECK_FALSE(std::filesystem::exists(folder / "model"));
}

TEST_CASE("absurd header lengths are refused before memory is taken") {
  CHECK_THAT(complaint(""), Catch::Contains("only 0 bytes"));
  CHECK_THAT(complaint("1234567"), Catch::Contains("only 7 bytes"));
  CHECK_THAT(complaint(std::string(8, '\xff') + "{}"), Catch::Contains("18446744073709551615"));
  CHECK_THAT(complaint(std::string("\x03\0\0\0\0\0\0\0{}", 10)),
             Catch::Contains("header of 3 bytes"));
  CHECK_THAT(complaint(std::string("\x00\x00\x00\x00\x00\x00\x00\x80", 8)),
             Catch::Contains("claims"));
}

TEST_CASE("headers that are not what the format says are refused") {
  CHECK_THAT(complaint(with_header("")), Catch::Contains("not a JSON object"));
  CHECK_THAT(complaint(with_header("[]")), Catch::Contains("not a JSON object"));
  CHECK_THAT(complaint(with_header("{\"a\":")), Catch::Contains("not a JSON object"));
  CHECK_THAT(complaint(with_header("{}{}")), Catch::Contains("not a JSON object"));
  CHECK_THAT(complaint(with_header(std::string(100000, '['))),
             Catch::Contains("nested too deeply"));
  CHECK_THAT(complaint(with_header(R"({"a":1})")), Catch::Contains("tensor 'a'"));
  CHECK_THAT(complaint(with_header(R"({"__metadata__":{"a":1}})")),
             Catch::Contains("not a string"));
  CHECK_THAT(complaint(with_header(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"x":0}})",
                                   "1234")),
             Catch::Contains("nothing else"));
  CHECK(complaint(with_header("{}")) == "");
}

TEST_CASE("dtypes, shapes and offsets must agree") {
  const auto one = [](const std::string& dtype, const std::string& shape,
                      const std::string& offsets) {
    return complaint(with_header("{\"a\":" + tensor(dtype, shape, offsets) + "}", "12345678"));
  };
  CHECK(one("F32", "[2]", "[0,8]") == "");
  CHECK_THAT(one("F8_E4M3", "[4]", "[0,8]"), Catch::Contains("'F8_E4M3' is none of"));
  CHECK_THAT(one("F32", "[3]", "[0,8]"), Catch::Contains("does not fill"));
  CHECK_THAT(one("F32", "[3]", "[0,12]"), Catch::Contains("[0, 12]"));
  CHECK_THAT(one("F32", "[2]", "[8,0]"), Catch::Contains("data_offsets"));
  CHECK_THAT(one("F32", "[-2]", "[0,8]"), Catch::Contains("not a whole number"));
  CHECK_THAT(one("F32", "[2.0]", "[0,8]"), Catch::Contains("not a whole number"));
  CHECK_THAT(one("F32", "[2]", "[0,8,8]"), Catch::Contains("list of two"));
  CHECK_THAT(one("F32", "[4611686018427387904,4]", "[0,0]"), Catch::Contains("does not fill"));
  CHECK_THAT(one("F32", "[18446744073709551615]", "[0,8]"), Catch::Contains("absurdly large"));
  CHECK_THAT(one("F32", "[99999999999999999999999]", "[0,8]"),
             Catch::Contains("not a whole number"));
}

TEST_CASE("overlaps, gaps, doubled names and foreign bytes are refused") {
  const auto two = [](const std::string& a, const std::string& b, const std::string& second = "b") {
    return complaint(with_header(
        "{\"a\":" + tensor("U8", "[4]", a) + ",\"" + second + "\":" + tensor("U8", "[4]", b) + "}",
        "12345678"));
  };
  CHECK(two("[0,4]", "[4,8]") == "");
  CHECK(two("[4,8]", "[0,4]") == "");
  CHECK_THAT(two("[0,4]", "[2,6]"), Catch::Contains("overlaps"));
  CHECK_THAT(two("[0,4]", "[0,4]"), Catch::Contains("overlaps"));
  CHECK_THAT(two("[1,5]", "[4,8]"), Catch::Contains("gap"));
  CHECK_THAT(two("[0,4]", "[4,8]", "a"), Catch::Contains("'a' stands twice"));
  CHECK_THAT(complaint(with_header("{\"a\":" + tensor("U8", "[4]", "[0,4]") + "}", "12345")),
             Catch::Contains("1 bytes at its end"));
}

TEST_CASE("every truncation of a safetensors file is refused") {
  const TemporaryFolder folder;
  const Sample sample;
  write_safetensors(folder / "whole", sample.tensors(), {{"step", "12"}});
  const std::string bytes = read_bytes(folder / "whole");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_bytes(folder / "cut", bytes.substr(0, size));
    REQUIRE_THAT(error_of(ExitCode::bad_input, [&] { SafetensorsFile file(folder / "cut"); }),
                 Catch::StartsWith((folder / "cut").string() + ": "));
  }
}

TEST_CASE("a safetensors header with flipped bytes gives an Error or a whole file, never a crash") {
  const TemporaryFolder folder;
  const Sample sample;
  write_safetensors(folder / "whole", sample.tensors(), {{"step", "12"}});
  const std::string bytes = read_bytes(folder / "whole");
  std::mt19937 random(1);
  int refused = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::string damaged = bytes;
    for (int flips = 0; flips < 3; ++flips) damaged[random() % bytes.size()] = char(random());
    write_bytes(folder / "damaged", damaged);
    const std::string text = error_of(ExitCode::bad_input, [&] {
      const SafetensorsFile file(folder / "damaged");
      for (const auto& entry : file.entries()) {
        std::string data(entry.bytes, '?');
        file.read(entry, data.data(), data.size());
      }
    });
    REQUIRE_THAT(text, !Catch::Contains("another exit code"));
    refused += !text.empty();
  }
  CHECK(refused > 1000);
}
