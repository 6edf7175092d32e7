// Stands in for mpi.cpp where METASCALE_MPI is off.
#include "core/communicator/transport.hpp"
#include "core/error.hpp"

namespace metascale {

std::unique_ptr<Transport> connect_mpi(double) {
  throw Error(
      "this process was started as one of several ranks, but the program was built without MPI; "
      "configure it with -DMETASCALE_MPI=ON, or start the ranks by metascale train --ranks",
      ExitCode::unavailable);
}

}  // namespace metascale
