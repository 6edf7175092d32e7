#include <catch2/catch.hpp>
#include <limits>

#include "core/units.hpp"

using namespace metascale;

TEST_CASE("durations are read in seconds") {
  CHECK(parse_duration("120s") == 120.0);
  CHECK(parse_duration("30m") == 1800.0);
  CHECK(parse_duration("4h") == 14400.0);
  CHECK(parse_duration("1.5 d") == 129600.0);
  CHECK(parse_duration("250ms") == 0.25);
  for (const char* wrong : {"", "s", "4", "-4h", "4 hours", "4h30m", "nan", "1e400s"})
    CHECK_FALSE(parse_duration(wrong));
}

TEST_CASE("sizes are read in bytes") {
  CHECK(parse_bytes("512") == 512.0);
  CHECK(parse_bytes("512 B") == 512.0);
  CHECK(parse_bytes("1.5 GiB") == 1610612736.0);
  CHECK(parse_bytes("64MB") == 64e6);
  CHECK(parse_bytes("1kB") == 1000.0);
  for (const char* wrong : {"", "GiB", "1 gib", "-1 B", "1 GiBs", "1,5 GiB"})
    CHECK_FALSE(parse_bytes(wrong));
}

TEST_CASE("counts are shown with three digits and a suffix") {
  CHECK(format_count(0) == "0");
  CHECK(format_count(999) == "999");
  CHECK(format_count(999.7) == "1k");
  CHECK(format_count(1234) == "1.23k");
  CHECK(format_count(1.5e8) == "150M");
  CHECK(format_count(0.5e6) == "500k");
  CHECK(format_count(10e9) == "10B");
  CHECK(format_count(-2.5e12) == "-2.5T");
  CHECK(format_count(1e18) == "1e+18");
  CHECK(format_count(9.996) == "10");
  CHECK(format_count(0.001234) == "0.00123");
  CHECK(format_count(std::numeric_limits<double>::infinity()) == "inf");
}

TEST_CASE("sizes, durations and rates are shown for people") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1.5 * (1 << 30)) == "1.5 GiB");
  CHECK(format_duration(0.85) == "850 ms");
  CHECK(format_duration(12.5) == "12.5 s");
  CHECK(format_duration(59.96) == "1m 00s");
  CHECK(format_duration(200) == "3m 20s");
  CHECK(format_duration(4 * 3600 + 5 * 60) == "4h 05m");
  CHECK(format_duration(2 * 86400 + 3 * 3600) == "2d 03h");
  CHECK(format_duration(std::numeric_limits<double>::quiet_NaN()) == "?");
  CHECK(format_rate(1234, "tok") == "1.23k tok/s");
}
