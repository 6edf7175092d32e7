// The verdict on a fit: every reason not to trust it, in words.
#pragma once

#include <string>
#include <vector>

#include "analysis/fit.hpp"
#include "analysis/fitting/minimise.hpp"

namespace metascale {

// minima: as the search left them, the best first.
std::vector<std::string> fit_problems(const Fit& fit, const LeastSquares& problem,
                                      const std::vector<Minimum>& minima);

inline constexpr const char* interval_unreliable = "interval unreliable";  // how a verdict begins
inline constexpr double least_decades = 1.5;
inline constexpr std::int64_t reliable_cells = 8;
// Of fewer cells than that, whether or not an interval was drawn. what: a cell is, "size, length".
void judge_cells(std::int64_t cells, const char* what, std::vector<std::string>& problems);
// "good" or "bad". Without a bootstrap nobody knows which points decide, nor whether arms share a
// law, and "good" says so.
std::string health_words(const std::vector<std::string>& problems, bool bootstrapped);
// Of fewer than fewest_draws of a bootstrap's draws; 0: there was none, and nothing to judge.
void judge_draws(std::size_t draws, std::vector<std::string>& problems);
// A fit's problems but "interval unreliable", which only few cells or few draws bring about: with
// one of these nothing that rests on the fit is to be quoted.
std::vector<std::string> grave_problems(const Fit& fit);
bool small_gradient(double gradient, double objective);

// Of the ten best minima: the share that lies where the best one does.
double agreement_of(const std::vector<Minimum>& minima);

// Throws Error{bad_input} naming the first point that the law cannot take, or too few points.
void check_points(const Law& form, std::span<const FitPoint> points);
std::vector<FitPoint> fitted_points(std::span<const FitPoint> points);  // those not held out

// log10 of largest over smallest value of one variable.
double decades(std::span<const FitPoint> points, std::size_t variable);

}  // namespace metascale
