// The columns of a run's log, once: run.h5 and the journal are both written and read by these
// tables, and a test holds docs/log-schema.md to them.
#pragma once

#include <tuple>

#include "core/run_file.hpp"

namespace metascale {

template <typename Row, typename T>
struct Column {
  const char* name;
  T Row::*member;
  const char* unit;
  bool deterministic;  // a resumed run has the same bits
  const char* about;
};
template <typename Row, typename T>
Column(const char*, T Row::*, const char*, bool, const char*) -> Column<Row, T>;

template <typename Columns, typename Body>
constexpr void for_each_column(const Columns& columns, Body&& body) {
  std::apply([&](const auto&... column) { (body(column), ...); }, columns);
}

// clang-format off
inline constexpr auto step_columns = std::tuple{
    Column{"step", &StepRow::step, "step", true, "1 is the first update"},
    Column{"tokens", &StepRow::tokens, "token", true, "trained on since step 0"},
    Column{"flops", &StepRow::flops, "FLOP", true, "model FLOPs since step 0"},
    Column{"loss", &StepRow::loss, "nat/token", true, "of this step's batch"},
    Column{"learning_rate", &StepRow::learning_rate, "1", true, "of this step"},
    Column{"gradient_norm", &StepRow::gradient_norm, "1", true, "global, before clipping"},
    Column{"digest", &StepRow::digest, "1", true, "of all token ids trained on so far"},
    Column{"seconds", &StepRow::seconds, "s", false, "wall time of this step"},
    Column{"tokens_per_second", &StepRow::tokens_per_second, "token/s", false, "of this step"},
    Column{"attempt", &StepRow::attempt, "1", false, "which start of the program made it"}};

inline constexpr auto evaluation_columns = std::tuple{
    Column{"step", &Evaluation::step, "step", true, "after this many updates"},
    Column{"split", &Evaluation::split, "", true, "validation or test"},
    Column{"protocol", &Evaluation::protocol, "", true, "packed_windows or rolling_documents, with resets where there are, or probe"},
    Column{"final", &Evaluation::is_final, "1", true, "1 for the evaluation at the run's end"},
    Column{"coverage", &Evaluation::coverage, "", true, "all, or the part of the split that was scored"},
    Column{"digest", &Evaluation::digest, "1", true, "of the scored windows"},
    Column{"tokens", &Evaluation::tokens, "token", true, "scored"},
    Column{"bytes", &Evaluation::bytes, "byte", true, "of the raw text that these tokens stand for"},
    Column{"nats", &Evaluation::nats, "nat", true, "sum over the scored tokens"},
    Column{"seconds", &Evaluation::seconds, "s", false, "wall time"}};

inline constexpr auto domain_columns = std::tuple{
    Column{"domain", &DomainRow::domain, "", true, "name of the domain"},
    Column{"tokens", &DomainRow::tokens, "token", true, "scored"},
    Column{"bytes", &DomainRow::bytes, "byte", true, "of the raw text that these tokens stand for"},
    Column{"nats", &DomainRow::nats, "nat", true, "sum over the scored tokens"}};

inline constexpr auto position_columns = std::tuple{
    Column{"first", &PositionRow::first, "token", true, "first position of the bin, from 0"},
    Column{"last", &PositionRow::last, "token", true, "last position of the bin, inclusive"},
    Column{"tokens", &PositionRow::tokens, "token", true, "scored"},
    Column{"nats", &PositionRow::nats, "nat", true, "sum over the scored tokens"}};

inline constexpr auto segment_columns = std::tuple{
    Column{"window", &SegmentRow::window, "1", true, "number of the window"},
    Column{"document", &SegmentRow::document, "1", true, "number of the document"},
    Column{"domain", &SegmentRow::domain, "1", true, "row among this evaluation's domains, from 0"},
    Column{"tokens", &SegmentRow::tokens, "token", true, "scored"},
    Column{"bytes", &SegmentRow::bytes, "byte", true, "of the raw text that these tokens stand for"},
    Column{"nats", &SegmentRow::nats, "nat", true, "sum over the scored tokens"}};

inline constexpr auto probe_columns = std::tuple{
    Column{"length", &ProbeRow::length, "token", true, "tokens of an example"},
    Column{"first", &ProbeRow::first, "token", true, "least distance to the evidence in the bin"},
    Column{"last", &ProbeRow::last, "token", true, "largest distance in the bin, inclusive"},
    Column{"scored", &ProbeRow::scored, "1", true, "answers that were asked for"},
    Column{"correct", &ProbeRow::correct, "1", true, "answers with the largest logit where it was right"},
    Column{"nats", &ProbeRow::nats, "nat", true, "sum over the answers"},
    Column{"examples", &ProbeRow::examples, "1", true, "that ask anything up to last"},
    Column{"solved", &ProbeRow::solved, "1", true, "examples without a mistake up to last"}};

inline constexpr auto event_columns = std::tuple{
    Column{"time", &Event::time, "s", false, "since 1970, UTC"},
    Column{"step", &Event::step, "step", false, "at which it happened"},
    Column{"attempt", &Event::attempt, "1", false, "which start of the program"},
    Column{"kind", &Event::kind, "", false, "start, resume, checkpoint, evaluation, signal, done, ..."},
    Column{"message", &Event::message, "", false, "for people"}};
// clang-format on

}  // namespace metascale
