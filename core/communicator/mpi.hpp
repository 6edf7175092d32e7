// Where communicators over MPI are made.
#pragma once

#include <memory>

#include "core/communicator.hpp"

namespace metascale {

// Throws Error{unavailable} in a program that was built without MPI.
std::unique_ptr<Communicator> connect_mpi(double timeout);

}  // namespace metascale
