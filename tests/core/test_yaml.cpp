#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "core/yaml.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace metascale;
using testing::TemporaryFolder;

namespace {

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == ExitCode::usage);
    return error.what();
  }
  return "no error";
}

std::string parse_error(const std::string& text) {
  return message_of([&] { parse_yaml(text, "f.yaml"); });
}

std::string repeated(const std::string& part, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += part;
  return all;
}

YamlNode value_of(const std::string& text) {
  return parse_yaml("key: " + text, "f.yaml").items.at(0);
}

void expect_same(const YamlNode& a, const YamlNode& b) {
  CHECK(a.kind == b.kind);
  CHECK(a.text == b.text);
  CHECK(a.keys == b.keys);
  REQUIRE(a.items.size() == b.items.size());
  for (std::size_t i = 0; i < a.items.size(); ++i) expect_same(a.items[i], b.items[i]);
}

}  // namespace

TEST_CASE("yaml: every value knows its line and column") {
  const YamlNode root = parse_yaml("a: 1\nb:\n  c: [x, {d: 5}]\n", "f.yaml");
  const YamlNode* d = root.find("b")->find("c")->items[1].find("d");
  CHECK(d->where.file == "f.yaml");
  CHECK(d->where.line == 3);
  CHECK(d->where.column == 14);
  CHECK(d->path == "b.c[1].d");
}

TEST_CASE("yaml: a doubled key is an error that names both places") {
  CHECK(parse_error("a:\n  b: 1\n  c: 2\n  b: 3\n") ==
        "f.yaml:4: a.b: this key is here twice (first in line 2); keep one of them");
}

TEST_CASE("yaml: a key that nobody read is an error that names the nearest one") {
  const YamlNode root = parse_yaml("match:\n  on: parameters\n  tolerence: 1%\n", "f.yaml");
  CHECK(message_of([&] {
          read_map(*root.find("match"), [](YamlMap& map) {
            map.find("on");
            map.find("tolerance");
            map.find("step");
          });
        }) == "f.yaml:3: match.tolerence: unknown key; did you mean 'tolerance'?");
  CHECK(message_of([&] {
          read_map(root, [](YamlMap& map) {
            map.find("alpha");
            map.find("beta");
          });
        }) == "f.yaml:1: match: unknown key; known here: alpha, beta");
}

TEST_CASE("yaml: a missing key is an error at its map") {
  const YamlNode root = parse_yaml("data: {name: x}\n", "f.yaml");
  CHECK(message_of([&] { YamlMap(*root.find("data")).at("train"); }) ==
        "f.yaml:1: data: the key 'train' is missing; add 'train: ...'");
}

TEST_CASE("yaml: numbers are those of YAML 1.2, and suffixes are exact") {
  CHECK(read_number(value_of("1e18"), 0, 1e30) == 1e18);
  CHECK(read_number(value_of("1.0e18"), 0, 1e30) == 1e18);
  CHECK(read_number(value_of("10B"), 0, 1e30) == 1e10);
  CHECK(read_number(value_of("2.3B"), 0, 1e30) == 2.3e9);
  CHECK(read_number(value_of("+.5"), 0, 1) == 0.5);
  CHECK(read_number(value_of("1.5e3k"), 0, 1e30) == 1.5e6);
  CHECK(read_integer(value_of("0.5M")) == 500'000);
  CHECK(read_integer(value_of("9223372036854775807")) == 9223372036854775807);
  CHECK(read_unsigned(value_of("18446744073709551615")) == 18446744073709551615u);
}

TEST_CASE("yaml: what only looks like a number is none") {
  const std::string text =
      GENERATE("1K", "1b", "0x10", "1_000", "12e", ".", "1e999", ".inf", ".nan", "\"5\"",
               "5 tokens", "1e1000000000000", "~", "[1]", "1BB", "no");
  CAPTURE(text);
  CHECK_THAT(message_of([&] { read_number(value_of(text), -1e300, 1e300); }),
             Catch::StartsWith("f.yaml:1: key: "));
}

TEST_CASE("yaml: only true and false are booleans") {
  CHECK(read_bool(value_of("true")));
  CHECK_FALSE(read_bool(value_of("false")));
  const std::string text =
      GENERATE("no", "on", "yes", "off", "True", "1", "0", "1B", "\"true\"", "y");
  CAPTURE(text);
  CHECK_THAT(message_of([&] { read_bool(value_of(text)); }),
             Catch::Contains("is neither true nor false; write true or false"));
}

TEST_CASE("yaml: words that YAML 1.1 took for booleans are strings") {
  CHECK(read_string(value_of("no")) == "no");
  CHECK(read_string(value_of("on")) == "on");
  CHECK(read_string(value_of("1B")) == "1B");
}

TEST_CASE("yaml: integers out of range say the range") {
  CHECK(message_of([] { read_integer(value_of("0"), 1, 8); }) ==
        "f.yaml:1: key: '0' is out of range; write a whole number from 1 to 8");
  CHECK(message_of([] { read_integer(value_of("1.5"), 1); }) ==
        "f.yaml:1: key: '1.5' is no whole number; write a whole number from 1 up, such as 2048, "
        "0.5M or "
        "1e6");
  CHECK_THAT(message_of([] { read_integer(value_of("99999999999999999999")); }),
             Catch::Contains("is no whole number"));
}

TEST_CASE("yaml: percentages and durations need their units") {
  CHECK(read_percent(value_of("0.5%")) == 0.005);
  CHECK(read_percent(value_of("100%")) == 1);
  CHECK(message_of([] { read_percent(value_of("0.5")); }) ==
        "f.yaml:1: key: '0.5' is no percentage; write a percentage from 0% to 100%, with its sign");
  CHECK(read_duration(value_of("120s")) == 120);
  CHECK(read_duration(value_of("1.5h")) == 5400);
  CHECK(message_of([] { read_duration(value_of("4")); }) ==
        "f.yaml:1: key: '4' has no unit; write a number and its unit: s, m, h, d");
}

TEST_CASE("yaml: quantities have a number and a known unit") {
  static constexpr std::string_view units[] = {"tokens", "step", "steps", "xC"};
  const Quantity tokens = read_quantity(value_of("250M tokens"), units);
  CHECK(tokens.value == 250e6);
  CHECK(tokens.unit == "tokens");
  CHECK(read_quantity(value_of("5xC"), units).unit == "xC");
  CHECK(
      message_of([] { read_quantity(value_of("3 tokns"), units); }) ==
      "f.yaml:1: key: unknown unit 'tokns'; write a number and its unit: tokens, step, steps, xC");
  CHECK_THAT(message_of([] { read_quantity(value_of("-3 steps"), units); }),
             Catch::Contains("is no quantity"));
}

TEST_CASE("yaml: an unknown choice names the nearest") {
  enum class Form { first, second };
  static constexpr Named<Form> table[] = {{"packed", Form::first}, {"rolling", Form::second}};
  CHECK(read_choice(value_of("rolling"), table) == Form::second);
  CHECK(message_of([] { read_choice(value_of("roling"), table); }) ==
        "f.yaml:1: key: unknown value 'roling'; did you mean 'rolling'?");
}

TEST_CASE("yaml: a scalar stands for a list only where that is said") {
  const auto read = [](const YamlNode& node) { return read_integer(node); };
  CHECK(read_list_of(value_of("[1, 2]"), read) == std::vector<std::int64_t>{1, 2});
  CHECK(read_list_of(value_of("3"), read, OneOrMany::or_one) == std::vector<std::int64_t>{3});
  CHECK_THAT(message_of([&] { read_list_of(value_of("3"), read); }),
             Catch::Contains("where a list belongs"));
}

TEST_CASE("yaml: what is not read is refused by name") {
  CHECK_THAT(parse_error("a: &x 1\nb: *x\n"), Catch::Contains("f.yaml:1: a: an anchor"));
  CHECK_THAT(parse_error("a: !!str 5\n"), Catch::Contains("a tag"));
  CHECK_THAT(parse_error("a: 1\n---\nb: 2\n"), Catch::Contains("a second document"));
  CHECK_THAT(parse_error("<<: {a: 1}\n"), Catch::Contains("a merge key"));
  CHECK_THAT(parse_error("[a, b]: 1\n"), Catch::Contains("a key that is a list"));
  CHECK_THAT(parse_error(""), Catch::Contains("the file is empty"));
  CHECK_THAT(parse_error(std::string("a: \0b", 5)), Catch::Contains("a zero byte"));
  CHECK_THAT(parse_error("a: [1, 2\nb: 3\n"), Catch::Contains("this is no YAML"));
}

TEST_CASE("yaml: a hostile file ends with an error, and soon") {
  std::string bomb = "a0: &a0 x\n";
  for (int i = 1; i < 30; ++i)
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) +
            ", *a" + std::to_string(i - 1) + "]\n";
  std::string many_keys = "{";
  for (int i = 0; i < 20000; ++i) many_keys += "k" + std::to_string(i) + ": 1, ";
  const std::string text = GENERATE_REF(
      as<std::string>{}, bomb, many_keys, std::string(100000, '['), std::string(100000, '{'),
      std::string(1 << 21, 'x'), "a: " + std::string(5000, '[') + std::string(5000, ']'),
      repeated("- ", 50000), repeated("? ", 50000));
  const std::clock_t start = std::clock();  // of this process: the machine may be busy
  const std::string message = parse_error(text);
  CHECK(message != "no error");
  CHECK(message.size() < 400);
  CHECK(std::clock() - start < 2 * CLOCKS_PER_SEC);
}

TEST_CASE("yaml: a base lies underneath, key by key") {
  const TemporaryFolder folder;
  folder.write("low.yaml", "a: 1\nmap: {x: 1, y: 2}\nlist: [1, 2]\n");
  folder.write("mid.yaml", "base: low.yaml\nmap: {y: 3}\n");
  folder.write("top.yaml", "base: mid.yaml\nmap: {z: 4}\nlist: [9]\n");
  const YamlNode root = with_bases(read_yaml(folder.path() / "top.yaml"), folder.path());
  CHECK(root.keys == std::vector<std::string>{"a", "map", "list"});
  CHECK(root.find("map")->keys == std::vector<std::string>{"x", "y", "z"});
  CHECK(root.find("map")->find("y")->text == "3");
  CHECK(root.find("list")->items.size() == 1);
  CHECK_THAT(root.find("map")->find("x")->where.file, Catch::EndsWith("low.yaml"));
}

TEST_CASE("yaml: a file that is its own base is refused") {
  const TemporaryFolder folder;
  folder.write("self.yaml", "base: [self.yaml, self.yaml, self.yaml]\n");
  CHECK_THAT(message_of([&] { with_bases(read_yaml(folder.path() / "self.yaml"), folder.path()); }),
             Catch::Contains("base: more than 8 files stand on one another"));
  folder.write("lost.yaml", "base: nowhere.yaml\n");
  CHECK_THAT(message_of([&] { with_bases(read_yaml(folder.path() / "lost.yaml"), folder.path()); }),
             Catch::Contains("there is no file"));
}

TEST_CASE("yaml: a base that holds no keys is refused, and none of it is said") {
  const TemporaryFolder folder;
  folder.write("secret", GENERATE("secret words\n", "[secret]\n", "\"secret\""));
  const auto path = folder.write("top.yaml", "a: 1\nbase: secret\n");
  const std::string message = message_of([&] { with_bases(read_yaml(path), folder.path()); });
  CHECK_THAT(message, Catch::Contains("top.yaml:2: base: '") && Catch::Contains("holds no keys") &&
                          !Catch::Contains("words") && !Catch::Contains("[secret"));
}

TEST_CASE("yaml: no more of a file is read than it says that it has") {
  // 0 bytes by its own word, and text all the same; others of its kind never end.
  CHECK_THAT(message_of([] { read_yaml("/proc/self/status"); }), Catch::Contains("is empty"));
  CHECK_THAT(message_of([] { read_yaml("/dev/zero"); }), Catch::Contains("cannot read this file"));
}

TEST_CASE("yaml: --set replaces and adds, with a place of its own") {
  YamlNode root = parse_yaml("training: {context: 8}\nlist: [1]\n", "f.yaml");
  set_yaml(root, "training.context=512");
  set_yaml(root, "training.schedule.kind=wsd");
  set_yaml(root, "list=[{a: 1}]");
  CHECK(root.find("training")->find("context")->text == "512");
  CHECK(root.find("training")->find("schedule")->find("kind")->path == "training.schedule.kind");
  CHECK(root.find("list")->items[0].find("a")->path == "list[0].a");
  CHECK(message_of([&] { read_bool(*root.find("training")->find("context")); }) ==
        "--set training.context=512:1: training.context: '512' is neither true nor false; write "
        "true or "
        "false");
  CHECK_THAT(message_of([&] { set_yaml(root, "list.x=1"); }), Catch::Contains("is no map"));
  CHECK_THAT(message_of([&] { set_yaml(root, "nothing"); }),
             Catch::Contains("this is no assignment"));
}

TEST_CASE("yaml: what is written reads back as the same tree") {
  const YamlNode root = parse_yaml(
      "a: 1e18\nb: {c: [x, {d: \"5\", e: null}], f: \"no: # \\\" \\\\ \\n\"}\ng:\n  h: 'true'\n  "
      "i: {}\n"
      "j: []\n\"k k\": 1xC\n",
      "f.yaml");
  expect_same(root, parse_yaml(to_yaml(root), "again.yaml"));
}

TEST_CASE("yaml: numbers and strings are written so that they come back") {
  for (const double value :
       {0.1, 1e-18, 6e-4, 1.0 / 3, 5e-324, 1.7976931348623157e308, 0.0, 1e18, 123456789.0})
    CHECK(read_number(value_of(yaml_number(value)), 0, 1.7976931348623157e308) == value);
  for (const std::string text :
       {"", "no", "null", "5", "1e5", "a b", "a: b", "#", "-", "\x01\t", "150M"}) {
    const YamlNode node = value_of(yaml_string(text));
    CHECK(read_string(node) == text);
    CHECK_FALSE(parse_yaml("k: " + yaml_string(text), "f").items[0].kind == YamlNode::Kind::null);
  }
}
