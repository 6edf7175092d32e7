// report.md: the report for a pull request or a terminal.
#pragma once

#include <string>

#include "analysis/report.hpp"

namespace metascale {

std::string render_markdown(const Report& report);

}  // namespace metascale
