#include "sweeps/executor/quote.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace metascale {
namespace {

bool is_harmless(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) ||
         std::string_view("_-./:,=@%+").find(c) != std::string_view::npos;
}

bool is_control(char c) { return std::iscntrl(static_cast<unsigned char>(c)); }

// $'...', in which bash takes \x0a for a line break.
std::string escaped(std::string_view text) {
  std::string quoted = "$'";
  for (const char c : text) {
    if (is_control(c))
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      quoted += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
  }
  return quoted + "'";
}

}  // namespace

std::string shell_quoted(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_harmless)) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += "'\\''";
    else
      quoted += c;
  }
  return quoted + "'";
}

std::string shell_quoted(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_quoted(word);
  return line;
}

std::string comment_quoted(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    const bool has_control = std::any_of(word.begin(), word.end(), is_control);
    line += (line.empty() ? "" : " ") + (has_control ? escaped(word) : shell_quoted(word));
  }
  return line;
}

std::string directive_quoted(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_harmless)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::optional<std::vector<std::string>> split_words(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!quote && (c == ' ' || c == '\t')) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (quote ? c == quote : c == '\'' || c == '"')
      quote = quote ? 0 : c;
    else if (c == '\\' && quote != '\'' && i + 1 < text.size())
      words.back() += text[++i];
    else
      words.back() += c;
  }
  if (quote) return std::nullopt;
  return words;
}

}  // namespace metascale
