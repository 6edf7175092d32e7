// Orders of samples: GPT-NeoX's, stored rows, and mixtures of domains.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "data/batches.hpp"
#include "data/orders/neox_order.hpp"
#include "data/sample_order.hpp"
#include "tests/data/token_set.hpp"

namespace metascale {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

const std::filesystem::path formats = std::filesystem::path(METASCALE_GOLDEN) / "formats";

nlohmann::json golden_orders() {
  return nlohmann::json::parse(testing::bytes_of(formats / "orders.json"));
}

std::vector<std::int32_t> ids_of(const TokenFile& file, const SampleOrder& order,
                                 std::int64_t sample) {
  std::vector<TokenRun> runs;
  order.runs_of(sample, runs);
  std::vector<std::int32_t> ids;
  for (const TokenRun& run : runs) {
    ids.resize(ids.size() + std::size_t(run.tokens));
    file.read(run.first, run.tokens, ids.data() + ids.size() - run.tokens);
  }
  return ids;
}

TEST_CASE("numbers are shuffled as numpy's RandomState shuffles them") {
  const auto orders = golden_orders();
  for (const auto& golden : orders.at("numpy_shuffle")) {
    std::vector<std::uint32_t> values(golden.at("n").get<std::size_t>());
    INFO(values.size());
    NumpyShuffle generator(golden.at("seed").get<std::uint64_t>());
    for (const char* turn : {"first", "second"}) {
      std::iota(values.begin(), values.end(), 0u);
      generator.shuffle(values);
      CHECK(nlohmann::json(values) == golden.at(turn));
    }
  }
}

TEST_CASE("the neox order gives the documents, windows and samples of GPT-NeoX") {
  const auto orders = golden_orders();
  for (const auto& golden : orders.at("neox")) {
    INFO(golden.dump().substr(0, 120));
    const TokenFile file(formats / golden.at("file").get<std::string>());
    const std::int64_t context = golden.at("seq_length");
    const NeoxOrder order(file, golden.at("seed"), context, golden.at("num_samples"),
                          golden.at("documents")[0], golden.at("documents")[1]);
    CHECK(nlohmann::json(order.documents()) == golden.at("doc_idx"));
    CHECK(nlohmann::json(order.samples()) == golden.at("shuffle_idx"));
    const auto& samples = golden.at("samples");
    REQUIRE(samples.size() > 0);
    for (std::size_t i = 0; i < samples.size(); ++i)
      CHECK(nlohmann::json(ids_of(file, order, std::int64_t(i))) == samples[i]);
  }
}

TEST_CASE("rows stored in the order of training are read in that order, and again from the first") {
  const TokenFile file(formats / "pythia_preshuffled_u16");
  const std::int64_t context = std::int64_t(file.sequence(0).size()) - 1;
  const auto order = make_sample_order(file, {.kind = OrderKind::as_stored, .context = context});
  for (std::int64_t sample = 0; sample < 2 * file.sequences(); ++sample)
    CHECK(ids_of(file, *order, sample) == file.sequence(sample % file.sequences()));
  CHECK(order->drawn(3 * file.sequences())[0].epochs() == 3);
  CHECK_THAT(
      error_of(
          ExitCode::bad_input,
          [&] { make_sample_order(file, {.kind = OrderKind::as_stored, .context = context + 1}); }),
      Catch::Contains("row 0") && Catch::Contains("context + 1"));
}

struct Domains {
  TemporaryFolder folder;
  TokenFile file{testing::write_token_set(folder, "train", testing::some_texts(9000))};
  std::int64_t context = 16;
  SampleOptions options(const std::string& mixture) const {
    return {.context = context, .mixture = parse_mixture(mixture)};
  }
};

TEST_CASE_METHOD(Domains, "a mixture draws each domain by its weight, from its documents alone") {
  const auto order =
      make_sample_order(file, options("{\"weights\": {\"A\": 1, \"B\": 2, \"C\": 5}}"));
  const std::int64_t samples = 4096;
  std::vector<std::int64_t> counted(3);
  std::vector<TokenRun> runs;
  for (std::int64_t sample = 0; sample < samples; ++sample) {
    order->runs_of(sample, runs);
    std::set<std::int32_t> domains;
    for (const TokenRun& run : runs)
      for (std::int64_t token = run.first; token < run.first + run.tokens; ++token)
        domains.insert(file.domain_of(file.document_of(token)));
    REQUIRE(domains.size() == 1);
    ++counted[std::size_t(*domains.begin())];
  }
  const auto drawn = order->drawn(samples);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(drawn[i].samples == counted[i]);
    CHECK(drawn[i].domain == file.domains()[i]);
  }
  CHECK(std::abs(counted[0] - samples / 8) <= 12);  // one for each bit of the number of samples
  CHECK(std::abs(counted[1] - samples / 4) <= 12);
}

TEST_CASE_METHOD(Domains, "a domain of weight 0 is left out, be it shorter than a window") {
  SampleOptions with = options("{\"weights\": {\"A\": 1, \"B\": 0, \"C\": 1}}");
  const auto order = make_sample_order(file, with);
  const auto drawn = order->drawn(3 * DomainDraw::block);
  REQUIRE(drawn.size() == 2);
  CHECK(drawn[0].domain == "A");
  CHECK(drawn[1].domain == "C");
  CHECK(drawn[0].samples + drawn[1].samples == 3 * DomainDraw::block);
  const DomainDraw draw(7, {0, 1.0 / 3, 0, 2.0 / 3, 0});
  for (std::int64_t sample = 0; sample < DomainDraw::block; ++sample)
    REQUIRE(draw.of(sample).domain % 2 == 1);

  const TemporaryFolder other;
  const TokenFile uneven(testing::write_token_set(
      other, "uneven", {{"Essays", std::string(99, 'a')}, {"Notes", "short"}}));
  with.mixture = parse_mixture("{\"weights\": {\"Essays\": 1, \"Notes\": 0.5}}");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { make_sample_order(uneven, with); }),
             Catch::Contains("'Notes'") && Catch::Contains("leave it out with 0"));
  with.mixture = parse_mixture("{\"weights\": {\"Essays\": 1, \"Notes\": 0}}");
  CHECK(make_sample_order(uneven, with)->drawn(5).size() == 1);
}

TEST_CASE_METHOD(Domains, "each pass over a domain visits each of its windows once") {
  const auto order =
      make_sample_order(file, options("{\"weights\": {\"A\": 1, \"B\": 1, \"C\": 1}}"));
  const std::int64_t pass = order->drawn(0)[1].pass;
  std::vector<std::set<std::int64_t>> passes(2);
  std::vector<TokenRun> runs;
  for (std::int64_t sample = 0; order->drawn(sample)[1].samples < 2 * pass; ++sample) {
    const std::int64_t before = order->drawn(sample)[1].samples;
    if (order->drawn(sample + 1)[1].samples == before) continue;
    order->runs_of(sample, runs);
    passes[std::size_t(before / pass)].insert(runs[0].first);
  }
  CHECK(std::int64_t(passes[0].size()) == pass);
  CHECK(passes[0] == passes[1]);
}

TEST_CASE_METHOD(Domains, "epochs of a mixture are passes over the domains") {
  const auto order =
      make_sample_order(file, options("{\"epochs\": {\"A\": 3, \"B\": 1, \"C\": 2}}"));
  const auto drawn = order->drawn(2000);
  CHECK(drawn[0].epochs() / drawn[1].epochs() == Approx(3).epsilon(0.05));
  CHECK(drawn[2].epochs() / drawn[1].epochs() == Approx(2).epsilon(0.05));
}

TEST_CASE_METHOD(Domains, "a mixture is a function of seeds and sample, in batches of any size") {
  const std::string mixture = "{\"weights\": {\"A\": 1, \"B\": 2, \"C\": 5}}";
  const auto digest = [&](std::uint64_t seed, std::int64_t rows) {
    SampleOptions with = options(mixture);
    with.run_seed = seed;
    const Batches batches(file, make_sample_order(file, with), context, rows);
    std::uint64_t value = 0;
    for (std::int64_t step = 0; step < 24 / rows; ++step) value = batches.digest(value, step);
    return value;
  };
  CHECK(digest(1, 4) == digest(1, 12));
  CHECK(digest(1, 4) != digest(2, 4));
}

TEST_CASE("counts drawn by domain are those of the samples, also over several blocks") {
  const DomainDraw draw(7, {0.5, 0.3, 0.1999, 0.0001});
  std::vector<std::int64_t> counts(4);
  for (std::int64_t sample = 0; sample < 2 * DomainDraw::block + 1000; ++sample) {
    if (sample % 997 == 0) REQUIRE(draw.drawn(sample) == counts);
    const DomainDraw::Place place = draw.of(sample);
    if (place.before != counts[place.domain]++) FAIL("sample " << sample);
  }
  CHECK(counts[3] >= 2 * 6);  // 0.0001 of a block is 6.6 places
  CHECK(counts[0] == Approx(0.5 * (2 * DomainDraw::block + 1000)).margin(20));
}

TEST_CASE("a domain of almost no share has a place in each block") {
  const DomainDraw draw(7, {0.999999999, 1e-9});
  CHECK(draw.drawn(DomainDraw::block) == std::vector<std::int64_t>{DomainDraw::block - 1, 1});
}

TEST_CASE("The Pile's weights add up to one, and take its domains alone") {
  const TemporaryFolder folder;
  const TokenFile pile(testing::write_token_set(
      folder, "pile", {{"Pile-CC", std::string(99, 'a')}, {"Enron Emails", std::string(99, 'b')}}));
  const auto shares = shares_of(parse_mixture("pile"), pile);
  CHECK(shares[0] == Approx(18.11 / (18.11 + 0.14)));
  const TokenFile other(testing::write_token_set(folder, "other", {{"Essays", "abc"}}));
  CHECK_THAT(error_of(ExitCode::usage, [&] { shares_of(parse_mixture("pile"), other); }),
             Catch::Contains("'Essays'"));
}

TEST_CASE_METHOD(Domains, "a mixture that cannot be is refused with its fault") {
  const auto [text, fault] = GENERATE(table<std::string, std::string>({
      {"natural", "none of as_stored"},
      {"{\"weights\": {}}", "none of as_stored"},
      {"{\"shares\": {\"A\": 1}}", "neither weights nor epochs"},
      {"{\"weights\": {\"A\": -1}}", "not a number of 0 or more"},
      {"{\"weights\": {\"A\": \"1\"}}", "not a number of 0 or more"},
      {"{\"epochs\": {\"A\": 0, \"B\": 0, \"C\": 0}}", "epochs of all domains are 0"},
      {"{\"weights\": {\"A\": 1, \"B\": 1}}", "'C'"},
      {"{\"epochs\": {\"A\": 1, \"B\": 1, \"C\": 1, \"D\": 1}}", "no domain 'D'"},
  }));
  CHECK_THAT(
      error_of(ExitCode::usage, [&, text = text] { make_sample_order(file, options(text)); }),
      Catch::Contains(fault));
}

TEST_CASE_METHOD(Domains,
                 "a mixture goes with the permuted order only, and is written as it is read") {
  SampleOptions with = options("{\"weights\": {\"A\": 1, \"B\": 1, \"C\": 1.5}}");
  CHECK(to_text(parse_mixture(to_text(with.mixture))) == to_text(with.mixture));
  with.kind = OrderKind::neox;
  CHECK_THAT(error_of(ExitCode::usage, [&] { make_sample_order(file, with); }),
             Catch::Contains("use permuted"));
}

TEST_CASE("segments of a row of documents from several places are its documents") {
  const TemporaryFolder folder;
  const TokenFile file(testing::write_token_set(
      folder, "set", {{"a", "aa"}, {"b", "bbbbbbbb"}, {"a", "aaa"}, {"b", "b"}}));
  const Batches batches(
      file,
      make_sample_order(
          file, {.context = 6, .mixture = parse_mixture("{\"weights\": {\"a\": 1, \"b\": 1}}")}),
      6, 2);
  std::vector<std::int32_t> tokens(12), segments(12);
  batches.fill(0, 0,
               {.rows = 2, .context = 6, .tokens = tokens.data(), .segment_ids = segments.data()});
  for (std::size_t row = 0; row < 2; ++row) {
    std::int32_t segment = 0;
    for (std::size_t t = row * 6; t < row * 6 + 6; ++t) {
      CHECK(segments[t] == segment);
      segment += tokens[t] == 256;
    }
  }
}

// 5 GiB of which a page and the ends are on disk.
TEST_CASE("tokens behind 4 GiB are read from their place") {
  const TemporaryFolder folder;
  const std::int64_t tokens = std::int64_t(5) << 29;  // of 2 bytes
  const auto path = folder / "large.bin";
  const int descriptor = ::open(path.c_str(), O_CREAT | O_WRONLY, 0600);
  REQUIRE(descriptor >= 0);
  REQUIRE(::ftruncate(descriptor, 2 * tokens) == 0);
  const std::uint16_t id = 4711;
  const std::int64_t place = (std::int64_t(9) << 28) + 5;  // behind 2^31 tokens, and 4 GiB
  REQUIRE(::pwrite(descriptor, &id, 2, 2 * place) == 2);
  ::close(descriptor);
  const TokenFile file(path, {.vocabulary = 50277, .layout = TokenLayout::raw_u16});
  CHECK(file.tokens() == tokens);
  std::int32_t read[3];
  file.read(place - 1, 3, read);
  CHECK(read[0] == 0);
  CHECK(read[1] == 4711);
  CHECK(read[2] == 0);
  const auto order = make_sample_order(file, {.kind = OrderKind::sequential, .context = 1024});
  CHECK(ids_of(file, *order, place / 1024)[std::size_t(place % 1024)] == 4711);
}

}  // namespace
}  // namespace metascale
