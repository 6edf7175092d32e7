// What a reader may do with any bytes: take them, or throw an Error that does not blame ourselves.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "core/error.hpp"

namespace metascale::fuzz {

// Whether body took them. ExitCode::internal and exceptions of other types end the fuzzer.
template <typename Body>
bool reads(Body&& body) {
  try {
    body();
    return true;
  } catch (const Error& error) {
    if (error.code != ExitCode::internal) return false;
    std::fprintf(stderr, "an internal error: %s\n", error.what());
    std::abort();
  }
}

}  // namespace metascale::fuzz
