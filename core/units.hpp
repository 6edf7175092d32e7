// Numbers with units as people write and read them. (Plain numbers with suffixes, "150M", "1e18",
// are read by parse_number of core/yaml.hpp.)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace metascale {

std::optional<double> parse_duration(std::string_view text);  // "120s", "30m", "4h", "2d"; seconds
std::optional<double> parse_bytes(std::string_view text);     // "1.5 GiB", "64MB", "512 B", "512"

// Three significant digits and a suffix k, M, B, T, or an exponent: 1.5e8 is "150M", 1.234e9
// "1.23B".
std::string format_count(double value);
std::string format_bytes(double bytes);       // "1.5 GiB": powers of 1024
std::string format_duration(double seconds);  // "850 ms", "12.5 s", "3m 20s", "4h 05m", "2d 03h"
std::string format_rate(double per_second, std::string_view unit);  // "1.2k tok/s"

}  // namespace metascale
