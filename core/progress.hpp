// Progress of long work: bars redrawn in place on a terminal, a plain line now and then elsewhere.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace metascale {

struct ProgressOptions {
  bool in_place = false;  // redraw; otherwise plain lines
  bool colour = false;
  int columns = 80, rows = 24;
  double redraw_seconds = 0.1;  // at most so often
  double line_seconds = 10;     // a plain line per bar, at most so often
};

// Whether what a bar stands for came to its end.
enum class BarEnd { complete, early };

// The bars of one program. Not for several threads at once.
class Progress {
 public:
  using Write = std::function<void(std::string_view)>;
  using Now = std::function<double()>;  // seconds of a steady clock

  explicit Progress(std::FILE* stream = stderr);  // finds out what the stream can do
  Progress(const ProgressOptions& options, Write write, Now now);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  int add(const std::string& label);  // a bar's number
  // fraction: of the work, 0 to 1; text: loss, speed. The time left is told from the fractions
  // since the bar's first update, so a resumed run tells it right.
  void update(int bar, double fraction, const std::string& text);
  // It is drawn a last time, complete at 100%; on a terminal above the bars that go on.
  void finish(int bar, const std::string& text, BarEnd end = BarEnd::complete);
  void message(const std::string& line);  // a line above the bars

 private:
  struct Bar {
    std::string label, text;
    double fraction = 0;
    double first_fraction = 0, first_time = -1;
    double last_line = -1;  // when a plain line was written
    bool finished = false;
  };
  std::string draw(const Bar& bar, std::size_t label_columns) const;
  std::string time_left(const Bar& bar) const;
  std::size_t label_columns() const;  // of the bars that are not finished
  void redraw(bool now);
  void clear();
  void print_line(Bar& bar);

  ProgressOptions options_;
  Write write_;
  Now now_;
  std::vector<Bar> bars_;
  std::size_t drawn_ = 0;  // lines on the terminal that are ours
  double last_drawn_ = -1;
};

}  // namespace metascale
