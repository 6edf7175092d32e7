// metascale data encode, metascale data decode: text to token ids and back.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "cli/command.hpp"
#include "data/encoded_line.hpp"
#include "data/tokenizer.hpp"

namespace metascale {
namespace {

struct EncodeVerb {
  std::string tokenizer;
  std::string input = "-";
  bool jsonl = false;
};

std::string read_all(std::istream& input) {
  return {std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>()};
}

void write_ids(std::istream& input, const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  tokenizer.encode(read_all(input), ids);
  fmt::print("{}\n", fmt::join(ids, " "));
}

void write_text(std::istream& input, const std::string& name, const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  for (std::int32_t id; input >> id;) ids.push_back(id);
  if (!input.eof())
    throw Error(fmt::format("{}: word {} is no token id; ids are whole numbers with blanks between",
                            name, ids.size() + 1),
                ExitCode::bad_input);
  const std::string text = tokenizer.decode(ids);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void write_lines(std::istream& input, const std::string& name, const Tokenizer& tokenizer,
                 std::string (*convert)(const std::string&, const Tokenizer&)) {
  std::int64_t number = 0;
  for (std::string line; std::getline(input, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      fmt::print("{}\n", convert(line, tokenizer));
    } catch (const Error& error) {
      throw Error(fmt::format("{}:{}: {}; mend the line", name, number, error.what()), error.code);
    }
  }
}

template <typename Run>
ExitCode with_input(const EncodeVerb& verb, Run&& run) {
  const auto tokenizer = make_tokenizer(verb.tokenizer);
  if (verb.input == "-") {
    run(std::cin, "stdin", *tokenizer);
    return ExitCode::good;
  }
  std::ifstream file(verb.input, std::ios::binary);
  if (!file)
    throw Error(fmt::format("{}: cannot be opened; check the path and its permissions", verb.input),
                ExitCode::usage);
  run(file, verb.input, *tokenizer);
  return ExitCode::good;
}

ExitCode run_encode(const EncodeVerb& verb) {
  return with_input(verb, [&](std::istream& in, const std::string& name, const Tokenizer& with) {
    verb.jsonl ? write_lines(in, name, with, encode_line) : write_ids(in, with);
  });
}

ExitCode run_decode(const EncodeVerb& verb) {
  return with_input(verb, [&](std::istream& in, const std::string& name, const Tokenizer& with) {
    verb.jsonl ? write_lines(in, name, with, decode_line) : write_text(in, name, with);
  });
}

void add_options(CLI::App& verb, EncodeVerb& options, const char* input, const char* lines) {
  verb.add_option("input", options.input, input);
  verb.add_option("--tokenizer", options.tokenizer, "bytes, or the path of a tokenizer.json")
      ->required();
  verb.add_flag("--jsonl", options.jsonl, lines);
}

}  // namespace

void add_encode_verbs(CLI::App& data, Action& action) {
  const auto encode = std::make_shared<EncodeVerb>(), decode = std::make_shared<EncodeVerb>();
  CLI::App* verb =
      add_verb(data, action, "encode", "text to token ids",
               "metascale data encode --tokenizer 20B_tokenizer.json my.txt", encode, run_encode);
  add_options(*verb, *encode, "a text, whole [standard input]",
              "lines of {\"text\"} in, of {\"text\", \"ids\"} out");
  verb =
      add_verb(data, action, "decode", "token ids to text",
               "metascale data decode --tokenizer 20B_tokenizer.json ids.txt", decode, run_decode);
  add_options(*verb, *decode, "ids with blanks between [standard input]",
              "lines of {\"ids\"} in, of {\"text\", \"ids\"} out");
}

}  // namespace metascale
