// EchoPeer: one way of calling an echo in another process.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

struct EchoShape {
  std::string name;
  size_t bytes = 0;
  size_t width = 1;  // Calls outstanding.
};

class EchoPeer {
 public:
  virtual ~EchoPeer() = default;

  // Calls for about that long, every answer checked; microseconds per call (elapsed time divided by
  // calls). On a thread of its own, which has no event loop yet. Throws when an answer is wrong.
  virtual double Measure(const EchoShape& shape, double seconds) = 0;
};

std::unique_ptr<EchoPeer> CapnpEcho(int port);
std::unique_ptr<EchoPeer> LibuvEcho(int port);
enum class TroupeMethod { kReadOnly, kMutating };
std::unique_ptr<EchoPeer> TroupeEcho(std::string address, TroupeMethod method);

// Servers: print the port, then serve for ever.
int ServeCapnpEcho();
int ServeLibuvEcho();
