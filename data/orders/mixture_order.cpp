#include "data/orders/mixture_order.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace metascale {

MixtureOrder::MixtureOrder(const TokenFile& file, const Mixture& mixture, std::uint64_t seed,
                           std::int64_t context)
    : file_(file),
      seed_(seed),
      context_(context),
      shares_(shares_of(mixture, file)),
      draw_(seed, shares_),
      streams_(file.domains().size()) {
  for (Stream& stream : streams_) stream.begins.push_back(0);
  for (std::int64_t document = 0; document < file.documents(); ++document) {
    Stream& stream = streams_[std::size_t(file.domain_of(document))];
    stream.documents.push_back(std::uint32_t(document));
    stream.begins.push_back(stream.begins.back() + file.document_begin(document + 1) -
                            file.document_begin(document));
  }
  for (std::size_t domain = 0; domain < streams_.size(); ++domain) {
    Stream& stream = streams_[domain];
    stream.windows = window_count(stream.begins.back(), context);
    if (stream.windows < 1 && shares_[domain] > 0)
      throw Error(concat("data.mixture: the domain '", file.domains()[domain], "' of ",
                         file.path().string(), " has ", stream.begins.back(),
                         " tokens, but one window takes ", context + 1,
                         "; use a shorter context, or leave it out with 0"),
                  ExitCode::bad_input);
  }
}

void MixtureOrder::runs_of(std::int64_t sample, std::vector<TokenRun>& runs) const {
  runs.clear();
  const DomainDraw::Place place = draw_.of(sample);
  const Stream& stream = streams_[place.domain];
  const std::int64_t window = permute(mix_seeds(seed_, place.domain), place.before / stream.windows,
                                      stream.windows, place.before % stream.windows);
  std::int64_t at = window * context_, left = context_ + 1;
  auto index = std::size_t(std::upper_bound(stream.begins.begin(), stream.begins.end(), at) -
                           stream.begins.begin()) -
               1;
  for (; left > 0; ++index) {
    const std::int64_t count = std::min(left, stream.begins[index + 1] - at);
    const std::int64_t first =
        file_.document_begin(stream.documents[index]) + at - stream.begins[index];
    if (count > 0) runs.push_back({first, count});
    at += count;
    left -= count;
  }
}

std::vector<DrawnDomain> MixtureOrder::drawn(std::int64_t samples) const {
  const std::vector<std::int64_t> counts = draw_.drawn(samples);
  std::vector<DrawnDomain> rows;
  for (std::size_t domain = 0; domain < counts.size(); ++domain)
    if (shares_[domain] > 0)
      rows.push_back({.domain = file_.domains()[domain],
                      .samples = counts[domain],
                      .pass = streams_[domain].windows});
  return rows;
}

}  // namespace metascale
