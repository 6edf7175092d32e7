// What a report says in a terminal.
#pragma once

#include "analysis/report.hpp"

namespace metascale {

void print_report(const ReportResult& result, bool json);

}  // namespace metascale
