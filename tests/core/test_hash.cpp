#include <catch2/catch.hpp>
#include <string>

#include "core/hash.hpp"

using namespace metascale;

TEST_CASE("sha256 gives NIST's digests") {  // FIPS 180-4 examples; CAVS SHA256ShortMsg
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256_hex(
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklm"
            "nopqrlmnopqrsmnopqrstnopqrstu") ==
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  CHECK(sha256_hex(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256 does not depend on how the bytes are cut") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += char(i * 7);
  for (std::size_t part = 1; part < 200; ++part) {
    Sha256 sha;
    for (std::size_t at = 0; at < text.size(); at += part)
      sha.update(std::string_view(text).substr(at, part));
    const auto digest = sha.finish();
    REQUIRE(to_hex(digest.data(), digest.size()) == sha256_hex(text));
  }
}

TEST_CASE("crc32c gives the check values of its standard") {  // RFC 3720 B.4
  CHECK(crc32c("123456789", 9) == 0xe3069283u);
  CHECK(crc32c(std::string(32, '\0').data(), 32) == 0x8a9136aau);
  CHECK(crc32c(std::string(32, '\xff').data(), 32) == 0x62a8ab43u);
  std::string rising;
  for (char i = 0; i < 32; ++i) rising += i;
  CHECK(crc32c(rising.data(), 32) == 0x46dd794eu);
}

TEST_CASE("crc32c goes on where it stopped") {
  const std::string text = "a journal's line, longer than eight bytes";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const std::uint32_t first = crc32c(text.data(), cut);
    REQUIRE(crc32c(text.data() + cut, text.size() - cut, first) ==
            crc32c(text.data(), text.size()));
  }
}

TEST_CASE("xxh3 of a stream is xxh3 of its bytes") {
  const std::string text(5000, 'x');
  Xxh3 stream;
  for (std::size_t at = 0; at < text.size(); at += 77)
    stream.update(text.data() + at, std::min<std::size_t>(77, text.size() - at));
  CHECK(stream.digest() == xxh3_128(text.data(), text.size()));
  CHECK(to_hex(xxh3_128("", 0)) == "99aa06d3014798d86001c324468d497f");  // xxHash's own test
  CHECK(to_hex(xxh3_64("", 0)) == "2d06800538d394c2");
}

TEST_CASE("hexadecimal digits are read strictly") {
  std::uint64_t value = 1;
  CHECK(parse_hex("00000000fedcba98", 16, value));
  CHECK(value == 0xfedcba98u);
  CHECK_FALSE(parse_hex("fedcba9", 8, value));
  CHECK_FALSE(parse_hex("FEDCBA98", 8, value));
  CHECK_FALSE(parse_hex("0x123456", 8, value));
  CHECK_FALSE(parse_hex("", 0, value));
  CHECK(to_hex(std::uint32_t(0xab)) == "000000ab");
}
