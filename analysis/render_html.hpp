// report.html: one file that opens without a network.
#pragma once

#include <string>

#include "analysis/report.hpp"

namespace metascale {

// Everything that comes from a log is escaped.
std::string render_html(const Report& report);

}  // namespace metascale
