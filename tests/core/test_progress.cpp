#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>
#include <string>

#include "core/progress.hpp"
#include "core/terminal.hpp"

using namespace metascale;

namespace {

// A stream that remembers, and a clock that is set.
struct Screen {
  std::string text;
  double time = 100;

  Progress progress(const ProgressOptions& options) {
    return Progress(
        options, [this](std::string_view more) { text += more; }, [this] { return time; });
  }
  std::string take() { return std::exchange(text, ""); }
};

// An environment variable, set until it goes.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value, 1);
  }
  ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// A terminal of our own; null where the system gives none.
class OwnTerminal {
 public:
  OwnTerminal() : master_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master_ < 0 || ::grantpt(master_) != 0 || ::unlockpt(master_) != 0) return;
    stream = std::fopen(::ptsname(master_), "w");
  }
  ~OwnTerminal() {
    if (stream) std::fclose(stream);
    if (master_ >= 0) ::close(master_);
  }
  std::FILE* stream = nullptr;

 private:
  int master_;
};

}  // namespace

TEST_CASE("elsewhere than on a terminal progress is a plain line every few seconds") {
  Screen screen;
  Progress progress = screen.progress({.line_seconds = 10});
  const int bar = progress.add("rwkv7-150M");
  progress.update(bar, 0, "loss 11.2");
  CHECK(screen.take() == "rwkv7-150M: 0%, loss 11.2\n");
  screen.time += 9;
  progress.update(bar, 0.2, "loss 9");
  CHECK(screen.take() == "");
  screen.time += 1;
  progress.update(bar, 0.25, "loss 8");
  CHECK(screen.take() == "rwkv7-150M: 25%, loss 8, 30 s left\n");
  progress.finish(bar, "done");
  CHECK(screen.take() == "rwkv7-150M: 100%, done, 10 s\n");
}

TEST_CASE("the time left of a resumed run counts from where it resumed") {
  Screen screen;
  Progress progress = screen.progress({.line_seconds = 0});
  const int bar = progress.add("run");
  progress.update(bar, 0.8, "");
  screen.time += 60;
  screen.take();
  progress.update(bar, 0.9, "");
  CHECK(screen.take() == "run: 90%, 1m 00s left\n");
  screen.time += 60;
  progress.update(bar, 1, "evaluating");
  CHECK(screen.take() == "run: 100%, evaluating\n");
}

TEST_CASE("a bar that is finished before anything was told of it says no time") {
  Screen screen;
  Progress plain = screen.progress({});
  plain.finish(plain.add("run"), "done");
  CHECK(screen.take() == "run: 100%, done\n");
  Progress in_place = screen.progress({.in_place = true});
  in_place.finish(in_place.add("run"), "done");
  CHECK(screen.take() == "run [========================] 100%  done\n");
}

TEST_CASE("on a terminal bars are redrawn in place, one line each") {
  Screen screen;
  Progress progress = screen.progress({.in_place = true, .redraw_seconds = 0});
  const int one = progress.add("a"), two = progress.add("long");
  progress.update(one, 0.5, "loss 3");
  CHECK(screen.take() ==
        "\r\x1b[2Ka    [============>           ]  50%  loss 3\n"
        "\r\x1b[2Klong [>                       ]   0%\n");
  screen.time += 1;
  progress.update(two, 1, "");
  CHECK_THAT(screen.take(), Catch::StartsWith("\x1b[2A\r") &&
                                Catch::Contains("long [========================] 100%\n"));
  progress.message("a line");
  CHECK_THAT(screen.take(), Catch::StartsWith("\x1b[2A\r\x1b[Ja line\n\r\x1b[2Ka "));
}

TEST_CASE("a finished bar is printed once, above those that go on") {
  Screen screen;
  Progress progress = screen.progress({.in_place = true, .redraw_seconds = 0});
  const int one = progress.add("a"), two = progress.add("b");
  progress.update(one, 0.5, "");
  screen.take();
  progress.finish(one, "done");
  CHECK(screen.take() ==
        "\x1b[2A\r\x1b[J"
        "a [========================] 100%  done  0 ms\n"
        "\r\x1b[2Kb [>                       ]   0%\n");
  progress.update(two, 0.5, "");
  CHECK_THAT(screen.take(), Catch::StartsWith("\x1b[1A\r\x1b[2Kb ") && !Catch::Contains("a ["));
  progress.finish(two, "failed", BarEnd::early);
  CHECK_THAT(screen.take(), Catch::Contains("]  50%  failed"));
  progress.message("over");
  CHECK(screen.take() == "over\n");
}

TEST_CASE("more bars than the terminal has rows are not drawn past its end") {
  Screen screen;
  Progress progress = screen.progress({.in_place = true, .rows = 4, .redraw_seconds = 0});
  for (const char* label : {"a", "b", "c", "d", "e"}) progress.add(label);
  progress.update(0, 0, "");
  const std::string text = screen.take();
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK_THAT(text, Catch::EndsWith("\r\x1b[2Kand 3 more\n"));
  progress.update(0, 0.5, "");
  CHECK_THAT(screen.take(), Catch::StartsWith("\x1b[3A\r"));
}

TEST_CASE("bars are not redrawn more often than told, but the end is always drawn") {
  Screen screen;
  {
    Progress progress = screen.progress({.in_place = true, .redraw_seconds = 1});
    const int bar = progress.add("a");
    progress.update(bar, 0.1, "");
    screen.take();
    screen.time += 0.5;
    progress.update(bar, 0.2, "");
    CHECK(screen.take() == "");
  }
  CHECK_THAT(screen.take(), Catch::Contains(" 20%"));
}

TEST_CASE("a bar never exceeds the terminal's width, and colours only where wanted") {
  Screen screen;
  Progress coloured = screen.progress({.in_place = true, .colour = true, .redraw_seconds = 0});
  coloured.update(coloured.add("a"), 0.5, "");
  CHECK_THAT(screen.take(), Catch::Contains("[\x1b[32m============\x1b[0m>"));
  Progress narrow = screen.progress({.in_place = true, .columns = 20, .redraw_seconds = 0});
  narrow.update(narrow.add("a"), 0.5, "a very long text about loss and speed");
  CHECK(screen.take() == "\r\x1b[2Ka [============>   \n");
}

TEST_CASE("fractions that are no numbers are drawn as nothing done") {
  Screen screen;
  Progress progress = screen.progress({.line_seconds = 0});
  const int bar = progress.add("a");
  progress.update(bar, 0.0 / 0.0, "");
  progress.update(bar, 7, "");
  CHECK(screen.take() == "a: 0%\na: 100%\n");
}

TEST_CASE("a terminal gets colour, but not where NO_COLOR is set or it is a dumb one") {
  const OwnTerminal terminal;
  if (!terminal.stream) {
    WARN("skipped: this system gives no pseudo-terminal");
    return;
  }
  const Variable kind("TERM", "xterm"), colour("NO_COLOR", "");
  CHECK(is_terminal(terminal.stream));
  CHECK(wants_colour(terminal.stream));  // an empty one says nothing [no-color.org]
  {
    const Variable refused("NO_COLOR", "1");
    CHECK(is_terminal(terminal.stream));
    CHECK_FALSE(wants_colour(terminal.stream));
  }
  const Variable dumb("TERM", "dumb");
  CHECK_FALSE(is_terminal(terminal.stream));
  CHECK_FALSE(wants_colour(terminal.stream));
}

TEST_CASE("a file is no terminal and gets no colour") {
  std::FILE* file = std::tmpfile();
  CHECK_FALSE(is_terminal(file));
  CHECK_FALSE(wants_colour(file));
  CHECK(columns_of(file) == 80);
  std::fclose(file);
}
