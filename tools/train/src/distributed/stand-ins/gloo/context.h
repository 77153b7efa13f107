// Our own stand-in for the header of this name: libtorch has gloo built in, but ships none of its headers, and
// ProcessGroupGloo.hpp includes this one. Only what that names is declared; nothing here is defined or called.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

} // namespace gloo
