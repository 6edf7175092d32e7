#include "core/domain_means.hpp"

#include <array>
#include <numbers>

namespace metascale {
namespace {

struct PileRow {
  const char* name;
  double weight;  // percent of bytes
};
constexpr std::array<PileRow, 22> pile{{{"Pile-CC", 18.11},
                                        {"PubMed Central", 14.40},
                                        {"Books3", 12.07},
                                        {"OpenWebText2", 10.01},
                                        {"ArXiv", 8.96},
                                        {"Github", 7.59},
                                        {"FreeLaw", 6.12},
                                        {"StackExchange", 5.13},
                                        {"USPTO Backgrounds", 3.65},
                                        {"PubMed Abstracts", 3.07},
                                        {"Gutenberg (PG-19)", 2.17},
                                        {"OpenSubtitles", 1.55},
                                        {"Wikipedia (en)", 1.53},
                                        {"DM Mathematics", 1.24},
                                        {"Ubuntu IRC", 0.88},
                                        {"BookCorpus2", 0.75},
                                        {"EuroParl", 0.73},
                                        {"HackerNews", 0.62},
                                        {"YoutubeSubtitles", 0.60},
                                        {"PhilPapers", 0.38},
                                        {"NIH ExPorter", 0.30},
                                        {"Enron Emails", 0.14}}};

}  // namespace

double pile_weight(const std::string& domain) {
  for (const PileRow& row : pile)
    if (domain == row.name) return row.weight;
  return 0;
}

DomainMeans domain_means(const Evaluation& evaluation) {
  double plain = 0, pile = 0, weights = 0;
  std::size_t domains = 0, of_the_pile = 0;
  for (const DomainRow& row : evaluation.domains) {
    if (row.tokens == 0) continue;  // no window of it was chosen
    if (row.bytes == 0) return {};
    const double bits = row.nats / (std::numbers::ln2 * double(row.bytes));
    const double weight = pile_weight(row.domain);
    plain += bits, ++domains;
    pile += weight * bits, weights += weight, of_the_pile += weight > 0;
  }
  if (domains == 0) return {};
  DomainMeans means{.plain = plain / double(domains)};
  if (of_the_pile == domains) means.pile = pile / weights;
  return means;
}

}  // namespace metascale
