// Every rule must find what breaks it: planted mistakes.
#include <catch2/catch.hpp>

#include "tests/house/rules.hpp"

namespace metascale::house {

using Sentences = std::vector<std::string>;

TEST_CASE("a room may not include a room that stands above or beside it") {
  CHECK(wrong_includes({"core/a.cpp", "#include \"kernels/norm.hpp\"\n"}) ==
        Sentences{"core/a.cpp:1: core may not include kernels"});
  CHECK(wrong_includes({"data/a.cpp", "\n#include \"kernels/norm.hpp\"\n"}) ==
        Sentences{"data/a.cpp:2: data may not include kernels"});
  CHECK(wrong_includes({"analysis/a.cpp", "#include \"experiments/plan.hpp\"\n"}).size() == 1);
  CHECK(wrong_includes({"experiments/a.cpp", "#include \"kernels/norm.hpp\"\n"}).empty());
}

TEST_CASE("a header in a room's subfolder is private to the room, but tests see it") {
  const std::string include = "#include \"kernels/cpu/gemm.hpp\"\n";
  CHECK(wrong_includes({"experiments/a.cpp", include}) ==
        Sentences{"experiments/a.cpp:1: \"kernels/cpu/gemm.hpp\" is private to kernels"});
  CHECK(wrong_includes({"kernels/a.cpp", include}).empty());
  CHECK(wrong_includes({"tests/kernels/a.cpp", include}).empty());
}

TEST_CASE("includes name their room and do not climb") {
  CHECK(wrong_includes({"core/a.cpp", "#include \"b.hpp\"\n"}).size() == 1);
  CHECK(wrong_includes({"core/hdf5/a.cpp", "#include \"../b.hpp\"\n"}).size() == 1);
  CHECK(wrong_includes({"elsewhere/a.cpp", ""}).size() == 1);
}

TEST_CASE("headers of CUDA are for kernels/cuda and its tests") {
  const std::string include = "#include <cuda_runtime.h>\n";
  CHECK(wrong_includes({"kernels/queue.hpp", include}) ==
        Sentences{"kernels/queue.hpp:1: <cuda_runtime.h> outside kernels/cuda"});
  CHECK(wrong_includes({"core/communicator.hpp", "#include <nccl.h>\n"}).size() == 1);
  CHECK(wrong_includes({"kernels/cuda/launch.cuh", include}).empty());
  CHECK(wrong_includes({"tests/kernels/test_emulator.cpp", include}).empty());
}

TEST_CASE("libraries are linked only along the arrows") {
  CHECK(wrong_links({"data/CMakeLists.txt",
                     "target_link_libraries(metascale_data\n PUBLIC metascale_core\n PRIVATE "
                     "metascale_kernels fmt::fmt)\n"}) ==
        Sentences{"data/CMakeLists.txt: metascale_data may not link metascale_kernels"});
  CHECK(wrong_links({"core/CMakeLists.txt",
                     "target_link_libraries(metascale_core PUBLIC metascale_flags)\n"})
            .empty());
}

TEST_CASE("text is ASCII and names no folder of one machine") {
  CHECK(wrong_style({"core/a.hpp", "// caf\xc3\xa9\n"}) == Sentences{"core/a.hpp:1: is not ASCII"});
  CHECK(wrong_style({"docs/a.md", std::string("see /ho") + "me/me/notes\n"}).size() == 1);
  CHECK(wrong_style({"docs/a.md", "see core/error.hpp\n"}).empty());
}

TEST_CASE("code is short, launches by a function and chooses its backend in one place") {
  CHECK(wrong_code({"core/a.cpp", std::string(500, '\n')}).size() == 1);
  CHECK(wrong_code({"core/a.cpp", std::string(499, '\n')}).empty());
  CHECK(wrong_code({"kernels/cuda/a.cu", "kernel<<<1, 2>>>();\n"}).size() == 1);
  CHECK(wrong_code({"core/a.cpp", "thread_local int x;\n"}).size() == 1);
  CHECK(wrong_code({"kernels/a.cpp", "#ifdef METASCALE_WITH_CUDA\n"}).size() == 1);
  CHECK(wrong_code({"analysis/a.cpp", "  static std::map<int, Draws> known;\n"}).size() == 1);
  CHECK(wrong_code({"analysis/a.cpp", "static int calls = 0;\n"}).size() == 1);
  CHECK(wrong_code({"cli/a.cpp", "  static int asked = 0;  // one per process\n"}).empty());
  CHECK(wrong_code({"cli/a.cpp", "static const int one = 1;\nstatic int f(int x) {\n"}).empty());
}

TEST_CASE("JSON is parsed in the place that limits its depth") {
  const std::string line = "\nconst auto words = nlohmann::json::parse(text, nullptr, false);\n";
  CHECK(wrong_code({"sweeps/a.cpp", line}) ==
        Sentences{"sweeps/a.cpp:2: parses JSON of any depth; use core/json_text.hpp"});
  CHECK(wrong_code({"core/a.cpp", "Json row = Json::parse(line);\n"}).size() == 1);
  CHECK(wrong_code({"core/json_text.cpp", line}).empty());
  CHECK(wrong_code({"tests/core/test_a.cpp", line}).empty());
  CHECK(wrong_code({"core/a.cpp", "auto words = parse_json(text);\n"}).empty());
}

TEST_CASE("Eigen works on the caller's thread: its sums depend on their number") {
  const std::string text = "#include <Eigen/Dense>\n";
  CHECK(wrong_code({"analysis/a.cpp", text}) ==
        Sentences{"analysis/a.cpp: lets Eigen take threads of its own; define "
                  "EIGEN_DONT_PARALLELIZE first"});
  CHECK(wrong_code({"analysis/a.cpp", "#define EIGEN_DONT_PARALLELIZE\n" + text}).empty());
  CHECK(wrong_code({"tests/analysis/test_a.cpp", text}).empty());
}

TEST_CASE("a source in no list of its room is found") {
  const File lists{"core/CMakeLists.txt", "add_library(metascale_core STATIC yaml.cpp hdf5/a.cpp)"};
  CHECK(unlisted_sources(lists, {{"core/yaml.cpp", ""}, {"core/hdf5/a.cpp", ""}}).empty());
  CHECK(unlisted_sources(lists, {{"core/hash.cpp", ""}, {"data/order.cpp", ""}}) ==
        Sentences{"core/hash.cpp: is in no list of core/CMakeLists.txt"});
}

TEST_CASE("an operator without a gradient test or a wrong-shape test is found") {
  const File header{"kernels/norm.hpp",
                    "struct Shape {\n};\nstruct NormForward {\n  void check() const;\n};\n"};
  const std::string gradients =
                        "kernels/norm.hpp:3: NormForward: no test in tests/kernels compares its "
                        "gradients with differences",
                    shapes =
                        "kernels/norm.hpp:3: NormForward: no test in tests/kernels gives it an "
                        "operand of a wrong shape";
  const std::string wrong_shape = "\"NormForward.x has shape (3)\"",
                    differences = "  expect_gradients_of_differences(item, {});\n}\n";
  const auto found_in = [&](const std::string& text, const std::string& name = "test_norm.cpp") {
    return untested_operators(
        {header,
         {"kernels/cases/norms.hpp", "struct Norm {\n  NormForward forward;\n};\n"},
         {"tests/kernels/norm_cases.hpp", "struct NormCase : cases::Norm {\n};\n"},
         {"tests/kernels/" + name, text}});
  };
  CHECK(found_in("") == Sentences{gradients, shapes});  // the cases alone are no tests
  CHECK(found_in("TEST_CASE(\"a\") {\n  NormForward op;\n  run(queue, op);\n}\n") ==
        Sentences{gradients, shapes});
  CHECK(found_in(wrong_shape) == Sentences{gradients});
  CHECK(found_in("\"NormForward.x is f32 but\"") == Sentences{gradients, shapes});
  const std::string test = "TEST_CASE(\"a\") {\n  NormCase item;\n" + differences;
  CHECK(found_in(test) == Sentences{shapes});
  CHECK(found_in(test + wrong_shape).empty());
  CHECK(found_in(test + wrong_shape, "test_cuda_norm.cpp") == Sentences{gradients, shapes});
  // Another test's case, and a name that only begins the same.
  CHECK(found_in("TEST_CASE(\"a\") {\n  NormCase item;\n}\n\nTEST_CASE(\"b\") {\n" + differences +
                 wrong_shape) == Sentences{gradients});
  CHECK(found_in("TEST_CASE(\"a\") {\n  NormCases item;\n" + differences + wrong_shape) ==
        Sentences{gradients});
}

TEST_CASE("links, scripts and verbs of a page are found") {
  const File page{
      "README.md",
      "See [model](docs/model.md#eq) and [web](https://example.org).\n"
      "```\nsum([](int i) {});\n```\n"
      "    ./test.sh --all\n"
      "    metascale run sweeps/quick.yaml   # or `build/release/metascale report x`\n"};
  REQUIRE(links_in(page).size() == 1);
  CHECK(links_in(page)[0].what == "docs/model.md");
  REQUIRE(scripts_in(page).size() == 1);
  CHECK(scripts_in(page)[0].what == "test.sh");
  CHECK(scripts_in(page)[0].line == 5);
  REQUIRE(verbs_in(page).size() == 2);
  CHECK(verbs_in(page)[0].what == "run");
  CHECK(verbs_in(page)[1].what == "report");
}

}  // namespace metascale::house
