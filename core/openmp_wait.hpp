// How OpenMP's threads wait for each other.
#pragma once

namespace metascale {

// GNU's OpenMP spins for some ten milliseconds before a waiting thread sleeps. Where another
// program has one of the cores, the thread that is waited for then gets none: a training step took
// five times as long. So this process starts itself anew, once, with spins of a tenth of a
// millisecond, which cost nothing on a machine of its own; the library reads its environment before
// main does. What the user has set (OMP_WAIT_POLICY, GOMP_SPINCOUNT) stands. argv: main's. Returns
// where there is nothing to do, or where it cannot be done.
void shorten_openmp_waits(char* const argv[]);

}  // namespace metascale
