// Text for shells and scripts. Whatever a name holds, it stays one word.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace metascale {

// One word of a POSIX shell: as it is where it is harmless, else in single quotes.
std::string shell_quoted(std::string_view text);
std::string shell_quoted(const std::vector<std::string>& words);  // with blanks between them

// The same for a comment in a script: whatever a word holds, the line does not end in it.
std::string comment_quoted(const std::vector<std::string>& words);

// An option, or its value, in an #SBATCH line: in double quotes, in which sbatch takes a backslash
// before " and \ and nothing else for special. Line breaks cannot be said there; callers have none.
std::string directive_quoted(std::string_view text);

// Words between blanks; '...', "..." and a backslash keep blanks together, and nothing else is
// special. Nothing where a quotation mark is not closed.
std::optional<std::vector<std::string>> split_words(std::string_view text);

}  // namespace metascale
