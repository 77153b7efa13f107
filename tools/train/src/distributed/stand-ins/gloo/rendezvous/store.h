// A stand-in for the gloo header of this name. libtorch contains gloo but ships none of its
// headers, and ProcessGroupGloo.hpp includes this one. It declares only the names that
// ProcessGroupGloo.hpp uses. Nothing is defined or called here.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace gloo {
namespace rendezvous {

class Store {
 public:
  virtual ~Store();
  virtual void set(const std::string &key, const std::vector<char> &value) = 0;
  virtual std::vector<char> get(const std::string &key) = 0;
  virtual void wait(const std::vector<std::string> &keys) = 0;
  virtual void wait(const std::vector<std::string> &keys, const std::chrono::milliseconds &timeout) = 0;
};

} // namespace rendezvous
} // namespace gloo
