// Stands in for mpi.cpp where METASCALE_MPI is off.
#include "core/communicator/mpi.hpp"

namespace metascale {

std::unique_ptr<Communicator> connect_mpi(double) {
  throw Error(
      "this process was started as one of several ranks, but the program was built without MPI; "
      "configure it with -DMETASCALE_MPI=ON",
      ExitCode::unavailable);
}

}  // namespace metascale
