# Writes HEADER, which says at which commit SOURCE stands: "+changes" behind it where tracked files differ from it,
# "unknown" where there is no git or the files are of no checkout. It is run at every build, so a header that says
# so already is left alone: nothing is compiled anew.
#   cmake -DSOURCE=folder -DHEADER=file -P commit.cmake

# Without optional locks: a build does not get in the way of somebody's commit.
function(ask_git answer)
  execute_process(COMMAND git --no-optional-locks -C ${SOURCE} ${ARGN} RESULT_VARIABLE code
                  OUTPUT_VARIABLE text OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT code STREQUAL "0")
    set(text unknown)
  endif()
  set(${answer} "${text}" PARENT_SCOPE)
endfunction()

set(commit unknown)
ask_git(tracked ls-files --error-unmatch CMakeLists.txt)  # unpacked inside of another checkout it is not
if(NOT tracked STREQUAL "unknown")
  ask_git(commit rev-parse --short=12 HEAD)
  ask_git(changes status --porcelain --untracked-files=no -- .)
  if(NOT changes STREQUAL "" AND NOT commit STREQUAL "unknown")
    string(APPEND commit "+changes")
  endif()
endif()

set(text "// Made by core/commit.cmake at every build.
#pragma once

namespace metascale {

inline constexpr char built_commit[] = \"${commit}\";

}  // namespace metascale
")
set(before "")
if(EXISTS ${HEADER})
  file(READ ${HEADER} before)
endif()
if(NOT before STREQUAL text)
  file(WRITE ${HEADER} "${text}")
endif()
