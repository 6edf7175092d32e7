// Writes the sample log to the path given, for tests in other languages.
#include "core/run_file.hpp"
#include "tests/core/samples.hpp"

int main(int count, char** arguments) {
  if (count != 2) return 2;
  metascale::write_run_file(arguments[1], metascale::sample_log());
}
