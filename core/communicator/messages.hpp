// A communicator of host memory over whatever carries messages.
#pragma once

#include <memory>

#include "core/communicator.hpp"
#include "core/communicator/transport.hpp"

namespace metascale {

// timeout: seconds without an answer after which a rank is lost.
std::unique_ptr<Communicator> make_message_communicator(std::unique_ptr<Transport> transport,
                                                        double timeout);

}  // namespace metascale
