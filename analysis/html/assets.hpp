// Files that are built into the program [analysis/embed.cmake].
#pragma once

#include <string_view>

namespace metascale {

extern const std::string_view page_style;    // analysis/page/style.css
extern const std::string_view page_script;   // analysis/page/*.js, one after the other
extern const std::string_view chart_script;  // Chart.js of the system, MIT licence, with its notice

extern const std::string_view published_yaml;  // analysis/published.yaml

}  // namespace metascale
