// Which operators lack a test of their gradients, or one that gives them an operand of a wrong
// shape [rules.hpp].
#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "tests/house/rules.hpp"

namespace metascale::house {
namespace {

struct Exception {
  std::string_view name, why;
};
constexpr std::array<Exception, 5> without_gradient{{
    {"Fill", "assigns a constant"},
    {"Cast", "converts weights, whose gradient is taken as if it were not there"},
    {"LastToken", "only of inference"},
    {"AdamW", "comes after the gradients"},
    {"SumOfSquares", "comes after the gradients"},
}};
constexpr std::array<Exception, 1> without_shapes{{
    {"Fill", "has one operand, of any shape"},
}};

template <typename Exceptions>
bool is_excepted(const Exceptions& exceptions, std::string_view name) {
  return std::any_of(exceptions.begin(), exceptions.end(),
                     [&](const Exception& exception) { return exception.name == name; });
}

bool is_of_a_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

bool names(std::string_view text, std::string_view word) {
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_of_a_word(text[at - 1])) &&
        (end == text.size() || !is_of_a_word(text[end])))
      return true;
  }
  return false;
}

std::string_view word_at(std::string_view text) {
  return text.substr(
      0, std::size_t(std::find_if_not(text.begin(), text.end(), is_of_a_word) - text.begin()));
}

// Calls visit(position, piece) for every piece that starts a line with `start`, up to `end`.
template <typename Visit>
void each_piece(std::string_view text, std::string_view start, std::string_view end,
                Visit&& visit) {
  for (std::size_t at = text.find(start); at != text.npos; at = text.find(start, at + 1))
    if (at == 0 || text[at - 1] == '\n')
      visit(at, text.substr(at, std::min(text.size(), text.find(end, at)) - at));
}

bool is_in(const File& file, std::string_view folder) { return file.path.starts_with(folder); }

// What runs where there is no GPU, too.
bool is_test(const File& file) {
  return is_in(file, "tests/kernels/test_") && !is_in(file, "tests/kernels/test_cuda_") &&
         file.path.ends_with(".cpp");
}

struct Piece {
  std::string place;  // "file:line"
  std::string_view name, text;
};

// Structs of kernels/*.hpp with a check(): the operators.
std::vector<Piece> operators_of(const std::vector<File>& files) {
  std::vector<Piece> operators;
  for (const File& file : files) {
    if (!is_in(file, "kernels/") || !file.path.ends_with(".hpp") ||
        file.path.find('/', 8) != std::string::npos)
      continue;
    each_piece(file.text, "struct ", "\n};", [&](std::size_t at, std::string_view text) {
      if (text.find("void check() const;") == text.npos) return;
      const auto line =
          1 + std::count(file.text.begin(), file.text.begin() + std::ptrdiff_t(at), '\n');
      operators.push_back({file.path + ":" + std::to_string(line), word_at(text.substr(7)), text});
    });
  }
  return operators;
}

// Structs that hold operators with their operands, for tests to run as a whole.
std::vector<Piece> cases_of(const std::vector<File>& files) {
  std::vector<Piece> cases;
  for (const File& file : files)
    if (is_in(file, "kernels/cases/") || is_in(file, "tests/kernels/"))
      each_piece(file.text, "struct ", "\n};", [&](std::size_t, std::string_view text) {
        cases.push_back({file.path, word_at(text.substr(7)), text});
      });
  return cases;
}

// The tests that compare gradients with differences, as text.
std::vector<std::string_view> gradient_tests_of(const std::vector<File>& files) {
  std::vector<std::string_view> tests;
  for (const File& file : files)
    if (is_test(file))
      each_piece(file.text, "TEST_CASE(", "\n}", [&](std::size_t, std::string_view text) {
        if (names(text, "expect_gradients_of_differences") || names(text, "expect_gradient"))
          tests.push_back(text);
      });
  return tests;
}

// The operator's name, and those of the cases that hold it, or hold a case that does.
std::vector<std::string_view> names_of(std::string_view name, const std::vector<Piece>& cases) {
  std::vector<std::string_view> known{name};
  for (std::size_t i = 0; i < known.size(); ++i)
    for (const Piece& item : cases)
      if (names(item.text, known[i]) &&
          std::find(known.begin(), known.end(), item.name) == known.end())
        known.push_back(item.name);
  return known;
}

bool has_gradient_test(const std::vector<std::string_view>& names_of_it,
                       const std::vector<std::string_view>& tests) {
  return std::any_of(tests.begin(), tests.end(), [&](std::string_view test) {
    return std::any_of(names_of_it.begin(), names_of_it.end(),
                       [&](std::string_view name) { return names(test, name); });
  });
}

// A refusal that a test expects: "Op.operand has shape (3) but must have ...".
bool has_shape_test(std::string_view name, const std::vector<File>& files) {
  const std::string start = '"' + std::string(name) + '.';
  return std::any_of(files.begin(), files.end(), [&](const File& file) {
    if (!is_test(file)) return false;
    for (std::size_t at = file.text.find(start); at != std::string::npos;
         at = file.text.find(start, at + 1)) {
      const std::size_t space = file.text.find(' ', at);
      if (space != std::string::npos && file.text.compare(space, 11, " has shape ") == 0)
        return true;
    }
    return false;
  });
}

}  // namespace

Violations untested_operators(const std::vector<File>& files) {
  const std::vector<Piece> cases = cases_of(files);
  const std::vector<std::string_view> tests = gradient_tests_of(files);
  Violations found;
  for (const Piece& op : operators_of(files)) {
    const std::string start = op.place + ": " + std::string(op.name);
    if (!is_excepted(without_gradient, op.name) &&
        !has_gradient_test(names_of(op.name, cases), tests))
      found.push_back(start + ": no test in tests/kernels compares its gradients with differences");
    if (!is_excepted(without_shapes, op.name) && !has_shape_test(op.name, files))
      found.push_back(start + ": no test in tests/kernels gives it an operand of a wrong shape");
  }
  return found;
}

}  // namespace metascale::house
