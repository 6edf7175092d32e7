// The words of the configuration's enumerations: config.yaml and the sweep file are written in
// them.
#pragma once

#include "core/yaml.hpp"
#include "experiments/config.hpp"
#include "experiments/matching.hpp"

namespace metascale {

inline constexpr Named<Architecture> architecture_names[] = {
    {"transformer", Architecture::transformer},
    {"transformer_pp", Architecture::transformer_pp},
    {"rwkv7", Architecture::rwkv7},
    {"meta_state", Architecture::meta_state}};
inline constexpr Named<ReadOut> read_out_names[] = {
    {"state", ReadOut::state}, {"time_mix", ReadOut::time_mix}, {"none", ReadOut::none}};
inline constexpr Named<ReadState> read_state_names[] = {{"previous", ReadState::previous},
                                                        {"current", ReadState::current}};
inline constexpr Named<ScheduleKind> schedule_kind_names[] = {{"cosine", ScheduleKind::cosine},
                                                              {"linear", ScheduleKind::linear},
                                                              {"constant", ScheduleKind::constant},
                                                              {"wsd", ScheduleKind::wsd}};
inline constexpr Named<Precision> precision_names[] = {{"f32", Precision::f32},
                                                       {"bf16", Precision::bf16},
                                                       {"bf16_stored", Precision::bf16_stored},
                                                       {"f64", Precision::f64}};
inline constexpr Named<Recompute> recompute_names[] = {{"none", Recompute::none},
                                                       {"block", Recompute::block}};
inline constexpr Named<WkvForm> wkv_form_names[] = {
    {"auto", WkvForm::automatic}, {"scan", WkvForm::scan}, {"chunked", WkvForm::chunked}};
inline constexpr Named<LowRankForm> low_rank_form_names[] = {{"separate", LowRankForm::separate},
                                                             {"joined", LowRankForm::joined}};
inline constexpr Named<NonFinite> non_finite_names[] = {
    {"stop", NonFinite::stop}, {"skip", NonFinite::skip}, {"roll_back", NonFinite::roll_back}};
inline constexpr Named<OnSpike> on_spike_names[] = {{"ignore", OnSpike::ignore},
                                                    {"stop", OnSpike::stop},
                                                    {"skip", OnSpike::skip},
                                                    {"roll_back", OnSpike::roll_back}};
inline constexpr Named<MatchOn> match_on_names[] = {
    {"parameters", MatchOn::parameters},
    {"non_embedding_parameters", MatchOn::non_embedding_parameters},
    {"flops_per_token", MatchOn::flops_per_token},
    {"training_flops", MatchOn::training_flops}};
inline constexpr Named<Role> role_names[] = {
    {"run", Role::run}, {"trial", Role::trial}, {"trunk", Role::trunk}};

// Words that stay strings in the configuration, because other rooms own their meaning.
enum class Word { known };
inline constexpr Named<Word> format_names[] = {{"megatron", Word::known},
                                               {"llm.c", Word::known},
                                               {"uint16", Word::known},
                                               {"uint32", Word::known}};
inline constexpr Named<Word> order_names[] = {{"permuted", Word::known},
                                              {"sequential", Word::known},
                                              {"rwkv", Word::known},
                                              {"neox", Word::known},
                                              {"as_stored", Word::known}};
inline constexpr Named<Word> protocol_names[] = {{"packed_windows", Word::known},
                                                 {"rolling_documents", Word::known}};

template <std::size_t Count>
std::string read_word(const YamlNode& node, const Named<Word> (&table)[Count]) {
  read_choice(node, table);
  return node.text;
}

// as_stored, pile, {weights: {DOMAIN: NUMBER}} or {epochs: {DOMAIN: NUMBER}}, as the one line that
// config.yaml holds [data/mixture.hpp].
std::string read_mixture(const YamlNode& node);

}  // namespace metascale
